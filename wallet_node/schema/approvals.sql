-- What waits for officers, and what they said about it.

CREATE TABLE IF NOT EXISTS operations (
    operation_id BLOB PRIMARY KEY CHECK (length(operation_id) = 16),
    kind TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    description TEXT NOT NULL,
    quorum TEXT NOT NULL,
    initiator TEXT NOT NULL,
    proposed_at_s INTEGER NOT NULL,
    expires_at_s INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'executed', 'withdrawn', 'expired')),
    ended_at_s INTEGER CHECK ((ended_at_s IS NULL) = (state = 'pending'))
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS operations_pending ON operations (expires_at_s) WHERE state = 'pending';

-- verb: 1 approves, 2 withdraws. One statement speaks of one operation only, whatever its digest. The columns of the key
-- come first: SQLite's integrity_check before 3.42 takes any other order in such a table for NULLs.
CREATE TABLE IF NOT EXISTS operation_statements (
    officer TEXT NOT NULL,
    statement_hash BLOB NOT NULL CHECK (length(statement_hash) = 32),
    operation_id BLOB NOT NULL REFERENCES operations,
    verb INTEGER NOT NULL CHECK (verb IN (1, 2)),
    policy_hash BLOB NOT NULL CHECK (length(policy_hash) = 32),
    expires_at_s INTEGER NOT NULL,
    stated_at_s INTEGER NOT NULL,
    PRIMARY KEY (officer, statement_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS operation_statements_of ON operation_statements (operation_id);

CREATE TABLE IF NOT EXISTS officer_sign_counts (
    credential_id TEXT PRIMARY KEY,
    sign_count INTEGER NOT NULL CHECK (sign_count >= 0)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS operations_end_once BEFORE UPDATE ON operations
WHEN old.state <> 'pending' BEGIN SELECT RAISE(ABORT, 'an operation ends once'); END;
CREATE TRIGGER IF NOT EXISTS operations_stay BEFORE UPDATE OF operation_id, kind, digest, description, initiator, proposed_at_s, expires_at_s ON operations
BEGIN SELECT RAISE(ABORT, 'an operation is what was proposed'); END;
CREATE TRIGGER IF NOT EXISTS operations_remain BEFORE DELETE ON operations BEGIN SELECT RAISE(ABORT, 'operations are append-only'); END;
CREATE TRIGGER IF NOT EXISTS operation_statements_stay BEFORE UPDATE ON operation_statements BEGIN SELECT RAISE(ABORT, 'statements are append-only'); END;
CREATE TRIGGER IF NOT EXISTS operation_statements_remain BEFORE DELETE ON operation_statements BEGIN SELECT RAISE(ABORT, 'statements are append-only'); END;
