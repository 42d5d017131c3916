"""People open wallets, approve what they ask for, and have it done again and again."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"


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
    op.execute(
        """
        CREATE TABLE standing_orders (                        -- its id is its mandate's
            id              uuid   PRIMARY KEY REFERENCES outbox_mandates (mandate_id),
            customer_id     uuid   NOT NULL REFERENCES customers (id),
            wallet_id       uuid   NOT NULL REFERENCES wallets (id),
            payee           jsonb  NOT NULL,                  -- as it was named
            amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
            currency        char(3) NOT NULL,
            note            text,
            unit            text   NOT NULL CHECK (unit IN ('day', 'week', 'month')),
            every           integer NOT NULL CHECK (every > 0),
            first_on        date   NOT NULL,
            last_on         date,
            is_month_end    boolean NOT NULL,
            retries         integer NOT NULL CHECK (retries >= 0),
            retry_after_h   integer NOT NULL CHECK (retry_after_h > 0),
            state           text   NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'ended')),
            code            text,                             -- what stood against it last
            next_on         date,                             -- the run that comes, or is being tried
            attempts        integer NOT NULL DEFAULT 0,       -- how often that one was refused
            next_attempt_at timestamptz,
            created_at      timestamptz NOT NULL DEFAULT now(),
            CHECK ((state = 'ended') = (next_on IS NULL)),
            CHECK ((next_on IS NULL) = (next_attempt_at IS NULL))
        )
        """
    )
    op.execute("CREATE INDEX standing_orders_customer ON standing_orders (customer_id)")
    op.execute("CREATE INDEX standing_orders_due ON standing_orders (next_attempt_at) WHERE state = 'active'")
    op.execute(
        """
        CREATE TABLE standing_order_runs (                    -- written once, when a run is decided
            order_id   uuid NOT NULL REFERENCES standing_orders (id),
            due_on     date NOT NULL,
            outcome    text NOT NULL CHECK (outcome IN ('accepted', 'failed', 'skipped', 'missed')),
            payment_id uuid REFERENCES payments (id),
            code       text,
            decided_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (order_id, due_on)
        )
        """
    )
    op.execute("CREATE INDEX accounts_customer ON accounts (customer_id)")
