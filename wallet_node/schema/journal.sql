-- The node's own durable store. Rows are only ever added (but for the counters at the end); triggers refuse the rest.

CREATE TABLE IF NOT EXISTS deployment (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    chain_id INTEGER NOT NULL,
    contract BLOB NOT NULL CHECK (length(contract) = 20),
    domain_name TEXT NOT NULL
) STRICT;

-- The contracts beside the currency that the home serves, by the names that a policy knows.
CREATE TABLE IF NOT EXISTS bound_contracts (
    name TEXT PRIMARY KEY CHECK (name IN ('notary')),
    address BLOB NOT NULL CHECK (length(address) = 20)
) STRICT, WITHOUT ROWID;

-- A nonce belongs to (chain, contract, space, signer). A transaction's nonce belongs to the account whatever it
-- calls: there the contract is empty.
CREATE TABLE IF NOT EXISTS domains (
    domain INTEGER PRIMARY KEY,
    chain_id INTEGER NOT NULL,
    contract BLOB NOT NULL CHECK (length(contract) = CASE space WHEN 'transaction' THEN 0 ELSE 20 END),
    space TEXT NOT NULL CHECK (space IN ('payment', 'permit', 'transaction')),
    UNIQUE (chain_id, contract, space)
) STRICT;

CREATE TABLE IF NOT EXISTS policies (
    policy_hash BLOB PRIMARY KEY CHECK (length(policy_hash) = 32),
    source BLOB NOT NULL
) STRICT;

-- Sign-once: an id has one nonce and one content for ever, and a nonce has one id.
CREATE TABLE IF NOT EXISTS intents (
    intent_id BLOB PRIMARY KEY CHECK (length(intent_id) = 16),
    domain INTEGER NOT NULL,
    signer BLOB NOT NULL CHECK (length(signer) = 20),
    nonce INTEGER NOT NULL CHECK (nonce >= 0),
    counterparty BLOB NOT NULL CHECK (length(counterparty) = 20),
    amount INTEGER NOT NULL CHECK (amount >= 0),
    calldata_hash BLOB NOT NULL CHECK (length(calldata_hash) IN (0, 32)),
    UNIQUE (domain, signer, nonce)
) STRICT, WITHOUT ROWID;

-- One row for each attempt, chained by hash: row_hash = SHA-256(previous row_hash | row).
CREATE TABLE IF NOT EXISTS journal (
    sequence INTEGER PRIMARY KEY,
    intent_id BLOB NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    valid_before_s INTEGER,
    max_fee_per_gas INTEGER,
    max_priority_fee_per_gas INTEGER,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    policy_hash BLOB NOT NULL CHECK (length(policy_hash) = 32),
    recorded_at_s INTEGER NOT NULL,
    row_hash BLOB NOT NULL CHECK (length(row_hash) = 32),
    CHECK ((valid_before_s IS NULL) <> (max_fee_per_gas IS NULL)),
    CHECK ((max_fee_per_gas IS NULL) = (max_priority_fee_per_gas IS NULL)),
    UNIQUE (intent_id, attempt)
) STRICT;

-- What each daily cap has used, and the latest time ever seen: a clock set back frees no budget.
CREATE TABLE IF NOT EXISTS spending (
    cap TEXT NOT NULL,
    day INTEGER NOT NULL,
    spent_minor INTEGER NOT NULL CHECK (spent_minor >= 0),
    PRIMARY KEY (cap, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS clock (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    last_seen_s INTEGER NOT NULL
) STRICT;

CREATE TRIGGER IF NOT EXISTS intents_stay BEFORE UPDATE ON intents BEGIN SELECT RAISE(ABORT, 'intents are append-only'); END;
CREATE TRIGGER IF NOT EXISTS intents_remain BEFORE DELETE ON intents BEGIN SELECT RAISE(ABORT, 'intents are append-only'); END;
CREATE TRIGGER IF NOT EXISTS journal_stays BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS journal_remains BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS deployment_stays BEFORE UPDATE ON deployment BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
CREATE TRIGGER IF NOT EXISTS deployment_remains BEFORE DELETE ON deployment BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
CREATE TRIGGER IF NOT EXISTS bound_contracts_stay BEFORE UPDATE ON bound_contracts BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
CREATE TRIGGER IF NOT EXISTS bound_contracts_remain BEFORE DELETE ON bound_contracts BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
