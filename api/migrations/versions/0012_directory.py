"""Aliases (the directory, and what banks keep of it), payment requests, refunds, and receipts to refund."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Add the tables of both sides; budgets are kept at either."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        """
        CREATE TABLE lookup_budgets (
            holder  text PRIMARY KEY,                        -- a participant; at a bank: a customer
            full_at timestamptz NOT NULL                     -- when its bucket of tokens is full again
        )
        """
    )
    op.execute(
        """
        CREATE TABLE directory_aliases (                     -- no alias and no whole name is anywhere here
            alias_id       uuid    PRIMARY KEY,
            alias_hmac     bytea   NOT NULL UNIQUE CHECK (octet_length(alias_hmac) = 32),
            key_id         text    NOT NULL,                 -- of the secret that the hashes are under
            kind           text    NOT NULL CHECK (kind IN ('phone', 'email', 'handle')),
            participant_id integer NOT NULL CHECK (participant_id BETWEEN 1 AND 65535),
            address        bytea   NOT NULL CHECK (octet_length(address) = 20),
            owner_hmac     bytea   NOT NULL CHECK (octet_length(owner_hmac) = 32),
            masked_name    text    NOT NULL,
            name_whole     bytea   NOT NULL CHECK (octet_length(name_whole) = 16),
            name_shorter   bytea[] NOT NULL,
            name_misspelt  bytea[] NOT NULL,
            registered_at  timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX directory_aliases_key ON directory_aliases (key_id)")
    op.execute(
        """
        CREATE TABLE directory_claims (                      -- an alias that moves to another bank
            claim_id      uuid    PRIMARY KEY,
            alias_id      uuid    NOT NULL,
            claimant_id   integer NOT NULL,
            former_id     integer NOT NULL CHECK (former_id <> claimant_id),
            state         text    NOT NULL DEFAULT 'open'
                          CHECK (state IN ('open', 'done', 'contested', 'withdrawn')),
            content       jsonb   NOT NULL,                  -- the new row's columns
            verified_at   timestamptz NOT NULL,
            made_at       timestamptz NOT NULL DEFAULT now(),
            waits_until   timestamptz NOT NULL,
            decided_at    timestamptz
        )
        """
    )
    op.execute(
        "CREATE UNIQUE INDEX directory_claims_open ON directory_claims (alias_id) WHERE state = 'open'"
    )
    op.execute("CREATE INDEX directory_claims_claimant ON directory_claims (claimant_id, made_at DESC)")
    op.execute("CREATE INDEX directory_claims_former ON directory_claims (former_id, made_at DESC)")
    op.execute(
        """
        CREATE TABLE directory_lookups (                     -- for two days; not what was looked up
            lookup_id        uuid    PRIMARY KEY,
            participant_id   integer NOT NULL,
            is_hit           boolean NOT NULL,
            looked_up_at     timestamptz NOT NULL DEFAULT now(),
            payment_id       uuid,
            transaction_hash bytea CHECK (octet_length(transaction_hash) = 32),
            UNIQUE (participant_id, payment_id)
        )
        """
    )
    op.execute("CREATE INDEX directory_lookups_age ON directory_lookups (looked_up_at)")
    op.execute(
        """
        CREATE TABLE alias_lookups (                         -- at a bank, for two days; not of what
            lookup_id    uuid PRIMARY KEY,
            holder       text NOT NULL,                      -- whose budget paid for it
            looked_up_at timestamptz NOT NULL DEFAULT now(),
            payment_id   uuid,                               -- what it led to
            shown_at     timestamptz                         -- when the directory was told of that
        )
        """
    )
    op.execute("CREATE INDEX alias_lookups_age ON alias_lookups (looked_up_at)")
    op.execute(
        """
        CREATE TABLE customer_aliases (                      -- at a bank: its own customers'
            alias_id      uuid PRIMARY KEY,
            customer_id   uuid NOT NULL REFERENCES customers (id),
            wallet_id     uuid NOT NULL REFERENCES wallets (id),
            kind          text NOT NULL CHECK (kind IN ('phone', 'email', 'handle')),
            alias         text NOT NULL,
            verified_at   timestamptz NOT NULL,
            registered_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX customer_aliases_customer ON customer_aliases (customer_id)")
    op.execute(
        """
        CREATE TABLE payment_requests (
            request_id        uuid   PRIMARY KEY,
            token             text   NOT NULL UNIQUE CHECK (token ~ '^[A-Za-z0-9_-]{22}$'),
            payee_wallet_id   uuid   NOT NULL REFERENCES wallets (id),
            payer_customer_id uuid   REFERENCES customers (id),   -- null: whoever has the link
            amount_minor      bigint NOT NULL CHECK (amount_minor > 0),
            currency          char(3) NOT NULL,
            note              text,
            expires_at        timestamptz NOT NULL,
            state             text   NOT NULL DEFAULT 'open'
                              CHECK (state IN ('open', 'paid', 'declined', 'cancelled')),
            payment_id        uuid   UNIQUE,
            created_at        timestamptz NOT NULL DEFAULT now(),
            decided_at        timestamptz,
            CHECK ((state = 'paid') <= (payment_id IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX payment_requests_wallet ON payment_requests (payee_wallet_id, created_at DESC)")
    op.execute("CREATE INDEX payment_requests_payer ON payment_requests (payer_customer_id, created_at DESC)")
    op.execute(
        """
        CREATE TABLE refunds (
            payment_id   uuid   PRIMARY KEY REFERENCES payments (id),
            original_id  uuid   NOT NULL,                         -- a payment here, or a receipt
            amount_minor bigint NOT NULL CHECK (amount_minor > 0)
        )
        """
    )
    op.execute("CREATE INDEX refunds_original ON refunds (original_id)")
    op.execute(
        """
        CREATE TABLE chain_receipts (                             -- paid to a wallet, not by this bank
            seq              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            receipt_id       uuid   NOT NULL UNIQUE,
            payer            bytea  NOT NULL CHECK (octet_length(payer) = 20),
            payee            bytea  NOT NULL CHECK (octet_length(payee) = 20),
            amount_minor     bigint NOT NULL CHECK (amount_minor > 0),
            transaction_hash bytea  NOT NULL CHECK (octet_length(transaction_hash) = 32),
            block_number     bigint NOT NULL
        )
        """
    )
    op.execute("CREATE INDEX chain_receipts_payee ON chain_receipts (payee, seq DESC)")
    for table in ("refunds", "chain_receipts"):
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
            " FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
