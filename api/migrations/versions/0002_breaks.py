"""What a comparison of books and chain found beside amounts; one account, one participant."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add to the first schema."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("ALTER TABLE chain_reconciliations ADD mismatched text[] NOT NULL DEFAULT '{}'")
    op.execute(
        """CREATE INDEX chain_reconciliations_clean ON chain_reconciliations (run_at)
            WHERE difference_minor = 0 AND mismatched = '{}'"""
    )
    op.execute("ALTER TABLE participants ADD UNIQUE (institution_address)")
