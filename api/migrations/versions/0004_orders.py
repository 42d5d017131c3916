"""What orders hold of accounts; an account's freezes are among its flags."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add to the projection: it is followed from here on, and by `rebuild` from block 0."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        """CREATE TABLE chain_order_holds (
               address    bytea NOT NULL CHECK (octet_length(address) = 20),
               order_id   bytea NOT NULL CHECK (octet_length(order_id) = 32),
               held_minor numeric(29) NOT NULL CHECK (held_minor > 0),
               PRIMARY KEY (address, order_id))"""
    )
