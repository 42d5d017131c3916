-- What the node knows of customers' consent: credentials, mandates and what was spent under these. `seal` authenticates
-- all other members of its row (keystore/seals.py).

-- A credential that is unbound keeps its row: an id stands for one key for ever, and its counter is not forgotten.
CREATE TABLE IF NOT EXISTS credentials (
    wallet BLOB NOT NULL CHECK (length(wallet) = 20),
    credential_id BLOB NOT NULL CHECK (length(credential_id) BETWEEN 1 AND 1023),
    algorithm INTEGER NOT NULL,
    public_key BLOB NOT NULL,
    is_first INTEGER NOT NULL CHECK (is_first IN (0, 1)),
    is_bound INTEGER NOT NULL CHECK (is_bound IN (0, 1)),
    sign_count INTEGER NOT NULL CHECK (sign_count BETWEEN 0 AND 4294967295),
    seal BLOB NOT NULL CHECK (length(seal) = 16),
    CHECK ((algorithm = -7 AND length(public_key) = 64) OR (algorithm = -8 AND length(public_key) = 32)),
    PRIMARY KEY (wallet, credential_id)
) STRICT, WITHOUT ROWID;

-- Bound when the wallet was created: at most one.
CREATE UNIQUE INDEX IF NOT EXISTS first_credentials ON credentials (wallet) WHERE is_first = 1;

-- Changes that were made, so that none is made twice.
CREATE TABLE IF NOT EXISTS credential_changes (
    change_id BLOB PRIMARY KEY CHECK (length(change_id) = 16),
    content BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS mandates (
    mandate_id BLOB PRIMARY KEY CHECK (length(mandate_id) = 16),
    payer BLOB NOT NULL CHECK (length(payer) = 20),
    payee BLOB NOT NULL CHECK (length(payee) = 20),
    cap_minor INTEGER NOT NULL CHECK (cap_minor > 0),
    period TEXT NOT NULL CHECK (period IN ('day', 'week', 'month')),
    starts_at_s INTEGER NOT NULL,
    expires_at_s INTEGER NOT NULL CHECK (expires_at_s > starts_at_s),
    proof_hash BLOB NOT NULL CHECK (length(proof_hash) = 32),
    is_revoked INTEGER NOT NULL CHECK (is_revoked IN (0, 1)),
    seal BLOB NOT NULL CHECK (length(seal) = 16)
) STRICT, WITHOUT ROWID;

-- Also of ids that were never registered: those never will be.
CREATE TABLE IF NOT EXISTS mandate_revocations (
    mandate_id BLOB PRIMARY KEY CHECK (length(mandate_id) = 16),
    revoked_at_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS mandate_spending (
    mandate_id BLOB NOT NULL REFERENCES mandates,
    period_start_s INTEGER NOT NULL,
    spent_minor INTEGER NOT NULL CHECK (spent_minor >= 0),
    PRIMARY KEY (mandate_id, period_start_s)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS credentials_keep_their_key BEFORE UPDATE OF wallet, credential_id, algorithm, public_key, is_first ON credentials BEGIN SELECT RAISE(ABORT, 'a credential keeps its key'); END;
CREATE TRIGGER IF NOT EXISTS credentials_count_upwards BEFORE UPDATE OF sign_count ON credentials WHEN new.sign_count < old.sign_count BEGIN SELECT RAISE(ABORT, 'a counter only rises'); END;
CREATE TRIGGER IF NOT EXISTS credentials_remain BEFORE DELETE ON credentials BEGIN SELECT RAISE(ABORT, 'credentials are unbound, not deleted'); END;
CREATE TRIGGER IF NOT EXISTS mandates_stay BEFORE UPDATE OF mandate_id, payer, payee, cap_minor, period, starts_at_s, expires_at_s, proof_hash ON mandates BEGIN SELECT RAISE(ABORT, 'mandates are append-only'); END;
CREATE TRIGGER IF NOT EXISTS mandates_stay_revoked BEFORE UPDATE OF is_revoked ON mandates WHEN new.is_revoked < old.is_revoked BEGIN SELECT RAISE(ABORT, 'a revocation is for ever'); END;
CREATE TRIGGER IF NOT EXISTS mandates_remain BEFORE DELETE ON mandates BEGIN SELECT RAISE(ABORT, 'mandates are append-only'); END;
CREATE TRIGGER IF NOT EXISTS mandate_revocations_stay BEFORE UPDATE ON mandate_revocations BEGIN SELECT RAISE(ABORT, 'a revocation is for ever'); END;
CREATE TRIGGER IF NOT EXISTS mandate_revocations_remain BEFORE DELETE ON mandate_revocations BEGIN SELECT RAISE(ABORT, 'a revocation is for ever'); END;
CREATE TRIGGER IF NOT EXISTS mandate_spending_grows BEFORE UPDATE ON mandate_spending WHEN new.spent_minor < old.spent_minor OR new.mandate_id <> old.mandate_id OR new.period_start_s <> old.period_start_s BEGIN SELECT RAISE(ABORT, 'spending only grows'); END;
CREATE TRIGGER IF NOT EXISTS mandate_spending_remains BEFORE DELETE ON mandate_spending BEGIN SELECT RAISE(ABORT, 'spending only grows'); END;
CREATE TRIGGER IF NOT EXISTS credential_changes_stay BEFORE UPDATE ON credential_changes BEGIN SELECT RAISE(ABORT, 'credential changes are append-only'); END;
CREATE TRIGGER IF NOT EXISTS credential_changes_remain BEFORE DELETE ON credential_changes BEGIN SELECT RAISE(ABORT, 'credential changes are append-only'); END;
