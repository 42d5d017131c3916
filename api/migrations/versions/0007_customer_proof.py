"""What customers approve travels with the intents: credentials, mandates, proofs. The signer judges them."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add to the schema; what was stored before has no proof: only the low-value allowance covers it."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("ALTER TABLE outbox_registrations ADD COLUMN credential jsonb")
    op.execute("ALTER TABLE outbox_payments ADD COLUMN proof jsonb")
    op.execute("ALTER TABLE payments ADD COLUMN mandate_id uuid")
    op.execute(
        """
        CREATE TABLE outbox_mandates (                        -- standing authorities, for the signer
            seq           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            mandate_id    uuid   NOT NULL UNIQUE,             -- the customer's own, part of what was approved
            wallet_id     uuid   NOT NULL REFERENCES wallets (id),
            payer         bytea  NOT NULL CHECK (octet_length(payer) = 20),
            payee         bytea  NOT NULL CHECK (octet_length(payee) = 20),
            cap_minor     bigint NOT NULL CHECK (cap_minor > 0),
            period        text   NOT NULL CHECK (period IN ('day', 'week', 'month')),
            starts_at_s   bigint NOT NULL,
            expires_at_s  bigint NOT NULL CHECK (expires_at_s > starts_at_s),
            approval      jsonb  NOT NULL,                    -- the customer's assertion over it all
            state         text   NOT NULL DEFAULT 'queued'
                          CHECK (state IN ('queued', 'active', 'refused', 'revoking', 'revoked')),
            outcome_code  text,
            requested_at  timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute(
        "CREATE INDEX outbox_mandates_open ON outbox_mandates (seq) WHERE state IN ('queued', 'revoking')"
    )
    op.execute("CREATE INDEX outbox_mandates_wallet ON outbox_mandates (wallet_id)")
