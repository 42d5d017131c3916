-- The node's own durable store. Rows are only ever added (but for the counters); triggers refuse the rest.

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

-- Where a nonce is good: nonces.Space.
CREATE TABLE IF NOT EXISTS domains (
    domain INTEGER PRIMARY KEY,
    chain_id INTEGER NOT NULL,
    contract BLOB NOT NULL CHECK (length(contract) = CASE space WHEN 'transaction' THEN 0 ELSE 20 END),
    space TEXT NOT NULL CHECK (space IN ('payment', 'permit', 'transaction', 'authorization', 'cancellation')),
    UNIQUE (chain_id, contract, space)
) STRICT;

CREATE TABLE IF NOT EXISTS policies (
    policy_hash BLOB PRIMARY KEY CHECK (length(policy_hash) = 32),
    source BLOB NOT NULL
) STRICT;

-- The rows in which a policy came into force.
CREATE TABLE IF NOT EXISTS activations (
    sequence INTEGER PRIMARY KEY,
    policy_hash BLOB NOT NULL
) STRICT;

-- One row for each decision: what journal/entries.py says, and the Merkle tree's leaf. Everything below that is said of
-- an id or a nonce is said in these rows as well; journal/verification.py holds the two against each other.
CREATE TABLE IF NOT EXISTS journal (
    sequence INTEGER PRIMARY KEY,
    entry BLOB NOT NULL
) STRICT;

-- The roots of full subtrees of 256, 65,536, .. rows, so that no proof reads more than a few hundred of anything.
CREATE TABLE IF NOT EXISTS subtrees (
    level INTEGER NOT NULL,
    place INTEGER NOT NULL,
    root BLOB NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (level, place)
) STRICT, WITHOUT ROWID;

-- How far the journal goes, what its last row hashes to, and the latest time ever seen: a clock set back frees no budget.
-- `seal` authenticates these three (keystore/seals.py): who has no keystore can put no end of its own to the journal.
CREATE TABLE IF NOT EXISTS tip (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    size INTEGER NOT NULL,
    leaf BLOB NOT NULL CHECK (length(leaf) = 32),
    last_seen_s INTEGER NOT NULL,
    seal BLOB CHECK (length(seal) = 16)
) STRICT;

-- Who signs where, and the last nonce given out there (-1 for none). One row a key, not one a payment: it is what the
-- uniqueness of a nonce rests on, and it stays small.
CREATE TABLE IF NOT EXISTS signers (
    number INTEGER PRIMARY KEY,
    domain INTEGER NOT NULL,
    signer BLOB NOT NULL CHECK (length(signer) = 20),
    last_nonce INTEGER NOT NULL CHECK (last_nonce >= -1),
    UNIQUE (domain, signer)
) STRICT;

-- Sign-once: an id is decided once, in one row, for ever. A refused id has no signer and no nonce here, nor has an
-- authorization, whose nonce does not count.
CREATE TABLE IF NOT EXISTS intents (
    intent_id BLOB PRIMARY KEY CHECK (length(intent_id) = 16),
    sequence INTEGER NOT NULL,
    signer INTEGER REFERENCES signers,
    nonce INTEGER,
    CHECK ((signer IS NULL) = (nonce IS NULL))
) STRICT, WITHOUT ROWID;

-- A nonce is above all that its signer had before it in that space (signers_rise), or it is not given. So (space, signer,
-- nonce) has one id, without an index of all nonces ever.
CREATE TRIGGER IF NOT EXISTS nonces_rise AFTER INSERT ON intents WHEN NEW.nonce IS NOT NULL BEGIN
    UPDATE signers SET last_nonce = NEW.nonce WHERE number = NEW.signer;
END;

-- Random nonces (EIP-3009): each belongs to one id, and its cancellation (a space of its own) to one other.
CREATE TABLE IF NOT EXISTS authorizations (
    domain INTEGER NOT NULL,
    signer BLOB NOT NULL CHECK (length(signer) = 20),
    nonce BLOB NOT NULL CHECK (length(nonce) = 32),
    intent_id BLOB NOT NULL UNIQUE,
    PRIMARY KEY (domain, signer, nonce)
) STRICT, WITHOUT ROWID;

-- Attempts after an id's first; the first is in its own row.
CREATE TABLE IF NOT EXISTS attempts (
    intent_id BLOB NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    sequence INTEGER NOT NULL,
    PRIMARY KEY (intent_id, attempt)
) STRICT, WITHOUT ROWID;

-- Transfers of nothing under the nonce of a transaction that was never mined; `intent_id` is the stuck one's.
CREATE TABLE IF NOT EXISTS repairs (
    intent_id BLOB NOT NULL,
    attempt INTEGER NOT NULL CHECK (attempt >= 1),
    sequence INTEGER NOT NULL,
    PRIMARY KEY (intent_id, attempt)
) STRICT, WITHOUT ROWID;

-- Refused attempts at an id that has its nonce: one row for each set of codes, so that asking again adds none.
CREATE TABLE IF NOT EXISTS refused_attempts (
    intent_id BLOB NOT NULL,
    codes TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (intent_id, codes)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS journal_stay BEFORE UPDATE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS journal_remain BEFORE DELETE ON journal BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS subtrees_stay BEFORE UPDATE ON subtrees BEGIN SELECT RAISE(ABORT, 'subtrees are append-only'); END;
CREATE TRIGGER IF NOT EXISTS subtrees_remain BEFORE DELETE ON subtrees BEGIN SELECT RAISE(ABORT, 'subtrees are append-only'); END;
CREATE TRIGGER IF NOT EXISTS intents_stay BEFORE UPDATE ON intents BEGIN SELECT RAISE(ABORT, 'intents are append-only'); END;
CREATE TRIGGER IF NOT EXISTS intents_remain BEFORE DELETE ON intents BEGIN SELECT RAISE(ABORT, 'intents are append-only'); END;
CREATE TRIGGER IF NOT EXISTS authorizations_stay BEFORE UPDATE ON authorizations BEGIN SELECT RAISE(ABORT, 'authorizations are append-only'); END;
CREATE TRIGGER IF NOT EXISTS authorizations_remain BEFORE DELETE ON authorizations BEGIN SELECT RAISE(ABORT, 'authorizations are append-only'); END;
CREATE TRIGGER IF NOT EXISTS attempts_stay BEFORE UPDATE ON attempts BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER IF NOT EXISTS attempts_remain BEFORE DELETE ON attempts BEGIN SELECT RAISE(ABORT, 'attempts are append-only'); END;
CREATE TRIGGER IF NOT EXISTS repairs_stay BEFORE UPDATE ON repairs BEGIN SELECT RAISE(ABORT, 'repairs are append-only'); END;
CREATE TRIGGER IF NOT EXISTS repairs_remain BEFORE DELETE ON repairs BEGIN SELECT RAISE(ABORT, 'repairs are append-only'); END;
CREATE TRIGGER IF NOT EXISTS refused_attempts_stay BEFORE UPDATE ON refused_attempts BEGIN SELECT RAISE(ABORT, 'refused attempts are append-only'); END;
CREATE TRIGGER IF NOT EXISTS refused_attempts_remain BEFORE DELETE ON refused_attempts BEGIN SELECT RAISE(ABORT, 'refused attempts are append-only'); END;
CREATE TRIGGER IF NOT EXISTS domains_stay BEFORE UPDATE ON domains BEGIN SELECT RAISE(ABORT, 'domains are append-only'); END;
CREATE TRIGGER IF NOT EXISTS domains_remain BEFORE DELETE ON domains BEGIN SELECT RAISE(ABORT, 'domains are append-only'); END;
CREATE TRIGGER IF NOT EXISTS policies_stay BEFORE UPDATE ON policies BEGIN SELECT RAISE(ABORT, 'policies are append-only'); END;
CREATE TRIGGER IF NOT EXISTS policies_remain BEFORE DELETE ON policies BEGIN SELECT RAISE(ABORT, 'policies are append-only'); END;
CREATE TRIGGER IF NOT EXISTS activations_stay BEFORE UPDATE ON activations BEGIN SELECT RAISE(ABORT, 'activations are append-only'); END;
CREATE TRIGGER IF NOT EXISTS activations_remain BEFORE DELETE ON activations BEGIN SELECT RAISE(ABORT, 'activations are append-only'); END;
CREATE TRIGGER IF NOT EXISTS signers_remain BEFORE DELETE ON signers BEGIN SELECT RAISE(ABORT, 'signers are append-only'); END;
CREATE TRIGGER IF NOT EXISTS signers_stay BEFORE UPDATE OF number, domain, signer ON signers BEGIN SELECT RAISE(ABORT, 'signers are append-only'); END;
CREATE TRIGGER IF NOT EXISTS signers_rise BEFORE UPDATE OF last_nonce ON signers WHEN NEW.last_nonce <= OLD.last_nonce BEGIN SELECT RAISE(ABORT, 'a nonce is given once'); END;
CREATE TRIGGER IF NOT EXISTS tip_remains BEFORE DELETE ON tip BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS tip_rises BEFORE UPDATE ON tip WHEN NEW.size < OLD.size OR NEW.last_seen_s < OLD.last_seen_s BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
CREATE TRIGGER IF NOT EXISTS deployment_stays BEFORE UPDATE ON deployment BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
CREATE TRIGGER IF NOT EXISTS deployment_remains BEFORE DELETE ON deployment BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
CREATE TRIGGER IF NOT EXISTS bound_contracts_stay BEFORE UPDATE ON bound_contracts BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
CREATE TRIGGER IF NOT EXISTS bound_contracts_remain BEFORE DELETE ON bound_contracts BEGIN SELECT RAISE(ABORT, 'a home serves one deployment'); END;
