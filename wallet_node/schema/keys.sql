-- Which customer keys were handed out; the seed makes them. `seal` authenticates the pair (keystore/file_provider.py).
CREATE TABLE IF NOT EXISTS derived_keys (
    key_index INTEGER PRIMARY KEY,
    address BLOB NOT NULL UNIQUE CHECK (length(address) = 20),
    seal BLOB CHECK (length(seal) = 16)
) STRICT;

CREATE TRIGGER IF NOT EXISTS derived_keys_stay BEFORE UPDATE ON derived_keys BEGIN SELECT RAISE(ABORT, 'derived keys are append-only'); END;
CREATE TRIGGER IF NOT EXISTS derived_keys_remain BEFORE DELETE ON derived_keys BEGIN SELECT RAISE(ABORT, 'derived keys are append-only'); END;

-- A token draws its nonces at random: the first signature over a digest is kept, so that asking again gives the same.
CREATE TABLE IF NOT EXISTS token_signatures (
    address BLOB NOT NULL CHECK (length(address) = 20),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    signature BLOB NOT NULL CHECK (length(signature) = 65),
    PRIMARY KEY (address, digest)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS token_signatures_stay BEFORE UPDATE ON token_signatures BEGIN SELECT RAISE(ABORT, 'signatures are append-only'); END;
CREATE TRIGGER IF NOT EXISTS token_signatures_remain BEFORE DELETE ON token_signatures BEGIN SELECT RAISE(ABORT, 'signatures are append-only'); END;
