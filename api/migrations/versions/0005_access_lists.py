"""Whose storage a transaction's access list names: part of what is signed, so it is kept with the call."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """What was stored before has no list, and is signed again without one."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        """ALTER TABLE chain_transactions ADD COLUMN listed_accounts bytea NOT NULL DEFAULT ''
               CHECK (octet_length(listed_accounts) % 20 = 0)"""
    )
