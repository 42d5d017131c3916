"""People open wallets, approve what they ask for, and have it done again and again."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0009"


def upgrade() -> None:
    """Add to the schema; nothing that was there changes."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        """
        CREATE TABLE wallet_openings (                        -- a person's wallet, from question to key
            id            uuid   PRIMARY KEY,                 -- the wallet is named after it
            customer_id   uuid   NOT NULL REFERENCES customers (id),
            challenge     bytea  NOT NULL CHECK (octet_length(challenge) = 32),
            expires_at    timestamptz NOT NULL,
            credential_id text,                               -- base64url; what it was opened with
            used_at       timestamptz,
            CHECK ((credential_id IS NULL) = (used_at IS NULL))
        )
        """
    )
    op.execute("CREATE INDEX wallet_openings_customer ON wallet_openings (customer_id)")
    op.execute("CREATE INDEX accounts_customer ON accounts (customer_id)")
