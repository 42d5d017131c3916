"""A wallet that the signer makes no key for holds up no other one."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add where the signer's reason is kept."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("ALTER TABLE outbox_registrations ADD COLUMN refusal text")
