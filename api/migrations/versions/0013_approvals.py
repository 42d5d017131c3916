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
    op.execute(
        """
        CREATE TABLE approvals (                              -- what was prepared for a person to approve
            id           uuid   PRIMARY KEY,                  -- the payment's, mandate's or order's own
            customer_id  uuid   NOT NULL REFERENCES customers (id),
            kind         text   NOT NULL
                         CHECK (kind IN ('payment', 'funding', 'redemption', 'mandate', 'standing order')),
            reference    text   NOT NULL,                     -- the key under which it was prepared
            content_hash bytea  NOT NULL CHECK (octet_length(content_hash) = 32),
            payer        bytea  NOT NULL CHECK (octet_length(payer) = 20),
            payee        bytea  NOT NULL CHECK (octet_length(payee) = 20),
            challenge    bytea  NOT NULL CHECK (octet_length(challenge) = 32),
            expires_at_s bigint NOT NULL,
            used_at      timestamptz
        )
        """
    )
    op.execute("CREATE INDEX approvals_open ON approvals (customer_id) WHERE used_at IS NULL")
    op.execute("CREATE INDEX accounts_customer ON accounts (customer_id)")
