"""Open cases are found by what they are about, and the system's accounts without reading everybody's."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """A hash has no limit to the length of what it indexes, as a tree has."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        """CREATE INDEX chain_cases_open ON chain_cases USING hash ((detail - 'in_transit_minor'))
            WHERE closed_at IS NULL"""
    )
    op.execute("CREATE INDEX chain_accounts_system ON chain_accounts (address) WHERE flags & 32 <> 0")
