-- The first schema: ledger, chain projection and outbox, and the feature rooms of the slice.
-- Every application check has its backstop here. The owner role runs this; the application's role gets the grants at the end.

-- ---------------------------------------------------------------- ledger
CREATE TABLE ledger_accounts (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code        text     NOT NULL,                                -- 'inventory', 'deposit:<reference>', 'wallet:<reference>'
    kind        text     NOT NULL,
    class       text     NOT NULL CHECK (class IN ('own', 'memo')),
    currency    char(3)  NOT NULL,
    normal_side smallint NOT NULL CHECK (normal_side IN (1, -1)), -- 1: debits raise it; -1: credits raise it
    opened_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (code, currency),
    CHECK (currency ~ '^[A-Z]{3}$'),
    CHECK ((kind, class, normal_side) IN (
        ('reserves', 'own', 1), ('inventory', 'own', 1), ('deposit', 'own', -1), ('fees', 'own', -1), ('equity', 'own', -1),
        ('in_transit', 'own', -1), ('custody', 'memo', 1), ('wallet', 'memo', -1),
        ('assets', 'own', 1), ('reserves_of', 'own', -1), ('circulation', 'own', -1)))
);

CREATE TABLE ledger_balances (
    account_id      bigint  PRIMARY KEY REFERENCES ledger_accounts (id),
    posted_minor    bigint  NOT NULL DEFAULT 0,                   -- on the account's normal side
    held_minor      bigint  NOT NULL DEFAULT 0 CHECK (held_minor >= 0),
    may_be_negative boolean NOT NULL DEFAULT false,               -- clearing accounts only
    CHECK (posted_minor >= 0 OR may_be_negative)
) WITH (fillfactor = 50);

-- Every account has its balance row from the start, and only clearing accounts may be negative: the application cannot choose.
CREATE FUNCTION ledger_open_balances() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
       SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    INSERT INTO ledger_balances (account_id, may_be_negative) SELECT id, kind = 'in_transit' FROM new_accounts;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_open_balances AFTER INSERT ON ledger_accounts
    REFERENCING NEW TABLE AS new_accounts FOR EACH STATEMENT EXECUTE FUNCTION ledger_open_balances();

CREATE SEQUENCE ledger_entry_ids;
CREATE SEQUENCE ledger_hold_ids;

CREATE TABLE ledger_entries (
    id          bigint PRIMARY KEY,
    kind        text NOT NULL,
    source      text NOT NULL UNIQUE,                             -- what caused it; the same cause never posts twice
    business_id uuid,
    booked_at   timestamptz NOT NULL DEFAULT now(),
    written_by  xid8 NOT NULL DEFAULT pg_current_xact_id()        -- never granted to the application: the default speaks
);
CREATE INDEX ledger_entries_business ON ledger_entries (business_id);

CREATE TABLE ledger_legs (
    entry_id     bigint  NOT NULL,
    account_id   bigint  NOT NULL,
    currency     char(3) NOT NULL,
    amount_minor bigint  NOT NULL CHECK (amount_minor <> 0)       -- debit positive, credit negative
);
CREATE INDEX ledger_legs_account ON ledger_legs (account_id, entry_id);
CREATE INDEX ledger_legs_entry ON ledger_legs (entry_id);

CREATE TABLE ledger_holds (
    id           bigint PRIMARY KEY,
    account_id   bigint NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    business_id  uuid   NOT NULL,
    held_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ledger_holds_business ON ledger_holds (business_id);

CREATE TABLE ledger_hold_resolutions (
    hold_id     bigint PRIMARY KEY,
    outcome     text NOT NULL CHECK (outcome IN ('posted', 'voided')),
    entry_id    bigint,
    resolved_at timestamptz NOT NULL DEFAULT now()
);

-- All legs of an entry come in one statement. The search path is fixed, so that no temporary table stands in for a real one.
-- Accounts and entries are looked up by subqueries, each by its primary key: as joins, the planner takes a LIMIT that finds
-- nothing for a reason to read whole tables once for every leg.
CREATE FUNCTION ledger_refuse_unbalanced() RETURNS trigger LANGUAGE plpgsql
       SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE broken record;
BEGIN
    SELECT l.entry_id INTO broken FROM (SELECT DISTINCT entry_id FROM new_legs) l
     WHERE (SELECT e.written_by FROM ledger_entries e WHERE e.id = l.entry_id) IS DISTINCT FROM pg_current_xact_id() LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'entry %: it was not written by this transaction', broken.entry_id
              USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_legs_entry_is_of_this_transaction';
    END IF;
    WITH placed AS MATERIALIZED (
        SELECT l.entry_id, l.account_id, l.currency, l.amount_minor,
               (SELECT a.class FROM ledger_accounts a WHERE a.id = l.account_id AND a.currency = l.currency) AS class
          FROM new_legs l)
    SELECT entry_id, currency, class, min(account_id) AS account_id, sum(amount_minor) AS difference INTO broken
      FROM placed GROUP BY entry_id, currency, class HAVING class IS NULL OR sum(amount_minor) <> 0
     ORDER BY class NULLS FIRST LIMIT 1;
    IF FOUND AND broken.class IS NULL THEN
        RAISE EXCEPTION 'entry %: account % does not exist in the currency of its leg', broken.entry_id, broken.account_id
              USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_legs_account_exists';
    ELSIF FOUND THEN
        RAISE EXCEPTION 'entry %: its % legs in % differ by %', broken.entry_id, broken.class, broken.currency, broken.difference
              USING ERRCODE = 'check_violation', CONSTRAINT = 'ledger_legs_balance';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_legs_balance AFTER INSERT ON ledger_legs
    REFERENCING NEW TABLE AS new_legs FOR EACH STATEMENT EXECUTE FUNCTION ledger_refuse_unbalanced();

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_accounts FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_entries FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_legs FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_holds FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ledger_hold_resolutions FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- ---------------------------------------------------------------- chain: what is final, as this institution saw it
CREATE TABLE chain_cursor (
    singleton       boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    genesis_hash    bytea  NOT NULL CHECK (octet_length(genesis_hash) = 32),
    chain_id        bigint NOT NULL,
    contract        bytea  NOT NULL CHECK (octet_length(contract) = 20),
    deployed_block  bigint NOT NULL,
    final_number    bigint NOT NULL,
    final_hash      bytea  NOT NULL,
    final_time_s    bigint NOT NULL DEFAULT 0,
    head_number     bigint NOT NULL DEFAULT 0,
    head_time_s     bigint NOT NULL DEFAULT 0
);
CREATE TABLE chain_blocks (                                        -- headers; those above final_number may still be replaced
    number      bigint PRIMARY KEY,
    hash        bytea  NOT NULL UNIQUE,
    parent_hash bytea  NOT NULL,
    time_s      bigint NOT NULL
);
CREATE TABLE chain_accounts (                                      -- every registered address of the currency
    address        bytea  PRIMARY KEY CHECK (octet_length(address) = 20),
    participant    integer NOT NULL,
    tier           integer NOT NULL,
    flags          integer NOT NULL,
    balance_minor  bigint NOT NULL DEFAULT 0 CHECK (balance_minor >= 0),
    spent_minor    bigint NOT NULL DEFAULT 0,                      -- on spent_day
    spent_day      integer NOT NULL DEFAULT 0,                     -- chain time / 86400
    next_nonce     bigint NOT NULL DEFAULT 0                       -- known for this institution's own payers only
) WITH (fillfactor = 70);
CREATE TABLE chain_tiers (
    tier                    integer PRIMARY KEY,
    holding_limit_minor     numeric(29) NOT NULL,
    per_payment_limit_minor numeric(20) NOT NULL,
    daily_limit_minor       numeric(20) NOT NULL
);
CREATE TABLE chain_participants (
    participant          integer PRIMARY KEY,
    institution          bytea NOT NULL,
    tier_mask            numeric(78) NOT NULL,
    mint_allowance_minor numeric(78) NOT NULL DEFAULT 0
);
CREATE TABLE chain_currency (
    singleton    boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    supply_minor bigint  NOT NULL DEFAULT 0,
    is_paused    boolean NOT NULL DEFAULT false
);
CREATE TABLE chain_supply_history (                                -- supply and holdings by participant, at each final block that changed them
    block_number bigint NOT NULL,
    participant  integer NOT NULL,                                 -- 0: the whole supply
    balance_minor bigint NOT NULL,
    institution_minor bigint NOT NULL DEFAULT 0,                   -- of which institutions hold it themselves
    PRIMARY KEY (participant, block_number)
);

-- ---------------------------------------------------------------- chain: what this institution wants to happen
CREATE TABLE outbox_registrations (
    seq                       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    wallet_id                 uuid    NOT NULL UNIQUE,
    key_index                 bigint  NOT NULL UNIQUE,
    tier                      integer NOT NULL,
    flags                     integer NOT NULL,
    wallet_ledger_account_id  bigint  NOT NULL REFERENCES ledger_accounts (id),
    deposit_ledger_account_id bigint  REFERENCES ledger_accounts (id),
    address                   bytea   UNIQUE,                      -- once the signer has derived it
    transaction_id            uuid,                                -- the lot that registers it
    registered_block          bigint                               -- once final
);
CREATE INDEX outbox_registrations_open ON outbox_registrations (seq) WHERE transaction_id IS NULL;

CREATE TABLE chain_transactions (
    seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id              uuid   NOT NULL UNIQUE,
    key_name        text   NOT NULL,                               -- which of the signer's keys sends it
    kind            text   NOT NULL,                               -- settle, register, mint, burn, set_tier, ...
    data            bytea  NOT NULL,
    gas             bigint NOT NULL,
    valid_before_s  bigint,                                        -- settle only
    state           text   NOT NULL DEFAULT 'prepared'
                    CHECK (state IN ('prepared', 'signed', 'final', 'reverted', 'refused')),
    nonce           bigint,
    hash            bytea UNIQUE,
    replaced_hashes bytea[] NOT NULL DEFAULT '{}',                 -- of the same nonce with lower fees: any of them may be mined
    raw             bytea,
    max_fee_per_gas bigint,
    included_block  bigint,                                        -- seen in a block that may still be replaced
    final_block     bigint,
    outcome_code    text,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chain_transactions_nonces ON chain_transactions (key_name, nonce);
CREATE INDEX chain_transactions_open ON chain_transactions (seq) WHERE state IN ('prepared', 'signed');

CREATE TABLE outbox_payments (                                     -- signed-payment intents, in the order in which they were accepted
    seq               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    payment_id        uuid   NOT NULL UNIQUE,
    kind              text   NOT NULL CHECK (kind IN ('payment', 'funding', 'redemption')),
    serves_payment_id uuid,                                        -- a funding that covers a payment's shortfall
    payer             bytea  NOT NULL,
    payee             bytea  NOT NULL,
    amount_minor      bigint NOT NULL CHECK (amount_minor > 0),
    state             text   NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'batched', 'final', 'failed')),
    attempt           integer NOT NULL DEFAULT 1,
    valid_before_s    bigint,                                      -- the latest ever asked for
    nonce             bigint,
    transaction_id    uuid,                                        -- chain_transactions.id of its batch
    record_index      integer,
    outcome_code      text,
    final_block       bigint,
    accepted_at       timestamptz NOT NULL DEFAULT now(),
    final_at          timestamptz
) WITH (fillfactor = 70);
CREATE INDEX outbox_payments_queued ON outbox_payments (seq) WHERE state = 'queued';
CREATE INDEX outbox_payments_batched ON outbox_payments (transaction_id, record_index) WHERE state = 'batched';
CREATE INDEX outbox_payments_open_payer ON outbox_payments (payer) WHERE state IN ('queued', 'batched');

-- ---------------------------------------------------------------- chain: health, reconciliation
CREATE TABLE chain_health (
    component  text PRIMARY KEY,                                   -- chain, signer, relay, indexer, reconciliation
    is_ok      boolean NOT NULL,
    detail     text NOT NULL DEFAULT '',
    seen_at    timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE chain_freezes (
    flow      text PRIMARY KEY,                                    -- settle, indexer, registration, issuance
    reason    text NOT NULL,
    frozen_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE chain_cases (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind      text NOT NULL,
    detail    jsonb NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    closed_at timestamptz
);
CREATE TABLE chain_reconciliations (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    block_number     bigint NOT NULL,
    difference_minor bigint NOT NULL,
    checks           jsonb  NOT NULL,                              -- [{name, books_minor, chain_minor, difference_minor}]
    run_at           timestamptz NOT NULL DEFAULT now()
);

-- ---------------------------------------------------------------- features
CREATE TABLE api_keys (
    id         uuid PRIMARY KEY,
    name       text NOT NULL,
    key_hash   bytea NOT NULL UNIQUE,
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE TABLE idempotency_keys (
    caller       text  NOT NULL,
    key          text  NOT NULL,
    request_hash bytea NOT NULL,
    status       integer,
    response     json,                                            -- not jsonb: a replay answers byte for byte
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);
CREATE TABLE customers (
    id         uuid PRIMARY KEY,
    reference  text NOT NULL UNIQUE,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE customer_sessions (
    token_hash  bytea PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    expires_at  timestamptz NOT NULL
);
CREATE TABLE accounts (
    id                uuid PRIMARY KEY,
    reference         text NOT NULL UNIQUE,
    customer_id       uuid NOT NULL REFERENCES customers (id),
    currency          char(3) NOT NULL,
    ledger_account_id bigint NOT NULL UNIQUE REFERENCES ledger_accounts (id),
    opening_deposit_minor bigint NOT NULL DEFAULT 0 CHECK (opening_deposit_minor >= 0),
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE SEQUENCE wallet_key_indices MINVALUE 0 START 0;
CREATE TABLE wallets (
    id                uuid PRIMARY KEY,
    reference         text NOT NULL UNIQUE,
    customer_id       uuid NOT NULL REFERENCES customers (id),
    account_id        uuid REFERENCES accounts (id),
    currency          char(3) NOT NULL,
    tier              integer NOT NULL,
    key_index         bigint NOT NULL UNIQUE,
    ledger_account_id bigint NOT NULL UNIQUE REFERENCES ledger_accounts (id),
    created_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX wallets_customer ON wallets (customer_id);
CREATE TABLE billers (
    id         uuid PRIMARY KEY,
    reference  text NOT NULL UNIQUE,
    name       text NOT NULL,
    address    bytea NOT NULL CHECK (octet_length(address) = 20),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE payments (                                            -- immutable; its state is read from the outbox and the ledger
    id                 uuid PRIMARY KEY,
    reference          text,                                       -- the caller's own, unique where given
    kind               text NOT NULL CHECK (kind IN ('payment', 'funding', 'redemption')),
    payer_wallet_id    uuid REFERENCES wallets (id),
    payee_wallet_id    uuid REFERENCES wallets (id),
    biller_id          uuid REFERENCES billers (id),
    payee              bytea,
    amount_minor       bigint NOT NULL,
    currency           char(3) NOT NULL,
    from_wallet_minor  bigint NOT NULL DEFAULT 0,
    from_deposit_minor bigint NOT NULL DEFAULT 0,                  -- the shortfall that a funding covers
    note               text,
    refusals           jsonb,                                      -- null: accepted; else every reason
    request_hash       bytea NOT NULL,
    caller             text NOT NULL,
    created_at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (caller, reference)
);
CREATE INDEX payments_payer ON payments (payer_wallet_id, created_at DESC);
CREATE INDEX payments_payee ON payments (payee_wallet_id, created_at DESC);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON payments FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE participants (                                        -- at the central bank
    id                  integer PRIMARY KEY CHECK (id BETWEEN 1 AND 65535),
    name                text NOT NULL,
    institution_address bytea NOT NULL,
    tier                integer NOT NULL,
    tier_mask           numeric(78) NOT NULL,
    reserves_account_id bigint NOT NULL REFERENCES ledger_accounts (id)
);
CREATE TABLE issuances (                                           -- both sides: an approval at the central bank, a mint at the bank; and returns
    id             uuid PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('approval', 'mint', 'return')),
    participant_id integer NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
    created_at     timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE reserve_deposits (
    id             uuid PRIMARY KEY,
    participant_id integer NOT NULL,
    amount_minor   bigint NOT NULL CHECK (amount_minor > 0),
    entry_id       bigint NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now()
);
