"""People: contacts, codes, passwords, second factors, passkeys, devices, recoveries, security log."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Run the SQL beside this file as one script: the driver's prepared statements take only one each."""
    script = Path(__file__).with_suffix(".sql").read_text(encoding="utf-8")
    bind = op.get_bind()
    bind.exec_driver_sql("SET LOCAL lock_timeout = '10s'")  # also makes sure that the transaction has begun
    adapted = bind.connection.dbapi_connection
    assert adapted is not None
    adapted.run_async(lambda connection: connection.execute(script))
