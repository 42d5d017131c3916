-- Rolling spending, in buckets of an hour. `subject` is a wallet's address, or empty for the institution as a whole.

CREATE TABLE IF NOT EXISTS spending_ledgers (
    ledger INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A bucket only grows. Those that no window reaches any more are ignored, and swept at start-up.
CREATE TABLE IF NOT EXISTS rolling_spending (
    ledger INTEGER NOT NULL REFERENCES spending_ledgers,
    subject BLOB NOT NULL CHECK (length(subject) IN (0, 20)),
    hour INTEGER NOT NULL CHECK (hour >= 0),
    spent_minor INTEGER NOT NULL CHECK (spent_minor >= 0),
    PRIMARY KEY (ledger, subject, hour)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS spending_ledgers_stay BEFORE UPDATE ON spending_ledgers BEGIN SELECT RAISE(ABORT, 'a ledger keeps its name'); END;
CREATE TRIGGER IF NOT EXISTS rolling_spending_grows BEFORE UPDATE ON rolling_spending
WHEN new.spent_minor < old.spent_minor BEGIN SELECT RAISE(ABORT, 'what was spent stays spent'); END;
