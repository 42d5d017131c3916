-- Who a customer is as a person, and what is lowered while a recovery cools.
CREATE TABLE people (
    customer_id      uuid PRIMARY KEY REFERENCES customers (id),
    date_of_birth    date NOT NULL,
    language         text NOT NULL CHECK (language IN ('en', 'zh')),
    restricted_until timestamptz,
    created_at       timestamptz NOT NULL DEFAULT now()
);

-- When, and how, the person of a session last showed who they are.
ALTER TABLE sessions ADD COLUMN confirmed_at timestamptz NOT NULL DEFAULT now();
ALTER TABLE sessions ADD COLUMN confirmed_by text NOT NULL DEFAULT 'sandbox'
    CHECK (confirmed_by IN ('sandbox', 'password', 'totp', 'passkey'));

-- Where a person is reached. One that is not verified is a claim, and binds nobody.
CREATE TABLE contacts (
    id          uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES people (customer_id),
    kind        text NOT NULL CHECK (kind IN ('email', 'phone')),
    address     text NOT NULL CHECK (length(address) <= 254),
    created_at  timestamptz NOT NULL DEFAULT now(),
    verified_at timestamptz
);
CREATE UNIQUE INDEX contacts_one_login ON contacts (address) WHERE verified_at IS NOT NULL;
CREATE INDEX contacts_customer ON contacts (customer_id);

CREATE TABLE registrations (
    id            uuid PRIMARY KEY,
    kind          text NOT NULL CHECK (kind IN ('email', 'phone')),
    address       text NOT NULL CHECK (length(address) <= 254),
    name          text NOT NULL,
    date_of_birth date NOT NULL,
    language      text NOT NULL CHECK (language IN ('en', 'zh')),
    began_at      timestamptz NOT NULL DEFAULT now(),
    token_hash    bytea CHECK (octet_length(token_hash) = 32)
);
CREATE INDEX registrations_began ON registrations (began_at);

-- One code at a time for whatever waits for one; used ones are gone.
CREATE TABLE one_time_codes (
    subject    uuid PRIMARY KEY,
    purpose    text NOT NULL,
    code_hash  bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    tries_left smallint NOT NULL CHECK (tries_left >= 0),
    expires_at timestamptz NOT NULL
);
CREATE INDEX one_time_codes_expiry ON one_time_codes (expires_at);

CREATE TABLE passwords (
    customer_id uuid PRIMARY KEY REFERENCES people (customer_id),
    hash        text NOT NULL CHECK (hash LIKE '$argon2id$%'),
    set_at      timestamptz NOT NULL DEFAULT now()
);

-- What was tried of late, by keyed hashes of accounts and addresses.
CREATE TABLE throttles (
    subject       bytea PRIMARY KEY CHECK (octet_length(subject) = 32),
    counted       integer NOT NULL CHECK (counted >= 0),
    counted_at    timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL
);
CREATE INDEX throttles_age ON throttles (counted_at);

-- A step that was begun and must be ended soon: a second factor to show, a challenge to sign.
CREATE TABLE tickets (
    token_hash  bytea PRIMARY KEY CHECK (octet_length(token_hash) = 32),
    purpose     text NOT NULL,
    customer_id uuid REFERENCES people (customer_id),
    challenge   bytea,
    tries_left  smallint NOT NULL CHECK (tries_left >= 0),
    expires_at  timestamptz NOT NULL
);
CREATE INDEX tickets_expiry ON tickets (expires_at);

CREATE TABLE authenticator_apps (
    customer_id   uuid PRIMARY KEY REFERENCES people (customer_id),
    sealed_secret bytea NOT NULL,
    last_step     bigint NOT NULL DEFAULT 0,
    confirmed_at  timestamptz
);

CREATE TABLE recovery_codes (
    customer_id uuid  NOT NULL REFERENCES people (customer_id),
    code_hash   bytea NOT NULL CHECK (octet_length(code_hash) = 32),
    used_at     timestamptz,
    PRIMARY KEY (customer_id, code_hash)
);

CREATE TABLE passkeys (
    id            uuid PRIMARY KEY,
    customer_id   uuid NOT NULL REFERENCES people (customer_id),
    credential_id bytea NOT NULL UNIQUE CHECK (octet_length(credential_id) BETWEEN 1 AND 1023),
    public_key    bytea NOT NULL,
    sign_count    bigint NOT NULL,
    name          text NOT NULL CHECK (length(name) <= 200),
    created_at    timestamptz NOT NULL DEFAULT now(),
    last_used_at  timestamptz
);
CREATE INDEX passkeys_customer ON passkeys (customer_id);

CREATE TABLE devices (
    id            uuid PRIMARY KEY,
    customer_id   uuid NOT NULL REFERENCES people (customer_id),
    token_hash    bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
    name          text NOT NULL CHECK (length(name) <= 200),
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at  timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX devices_customer ON devices (customer_id);

CREATE TABLE security_events (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id  uuid NOT NULL REFERENCES people (customer_id),
    kind         text NOT NULL,
    detail       jsonb NOT NULL,
    from_address text NOT NULL CHECK (length(from_address) <= 64),
    device_name  text NOT NULL CHECK (length(device_name) <= 200),
    at           timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX security_events_customer ON security_events (customer_id, id);
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON security_events
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TABLE recoveries (
    id            uuid PRIMARY KEY,
    what          text NOT NULL CHECK (what IN ('password', 'device')),
    kind          text NOT NULL CHECK (kind IN ('email', 'phone')),
    address       text NOT NULL CHECK (length(address) <= 254),
    customer_id   uuid REFERENCES people (customer_id),
    began_at      timestamptz NOT NULL DEFAULT now(),
    token_hash    bytea CHECK (octet_length(token_hash) = 32),
    ready_at      timestamptz,
    cancelled_at  timestamptz,
    completed_at  timestamptz
);
CREATE INDEX recoveries_customer ON recoveries (customer_id);
CREATE INDEX recoveries_began ON recoveries (began_at);

-- What the officers' quorum is asked at the signer, after a lost device: another credential for a wallet.
CREATE TABLE outbox_credential_changes (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    change_id    uuid  NOT NULL UNIQUE,
    wallet_id    uuid  NOT NULL,
    recovery_id  uuid  NOT NULL,                    -- the one that allows it
    address      bytea NOT NULL CHECK (octet_length(address) = 20),
    bind         jsonb NOT NULL,
    unbind       text,                              -- the id of the credential that was lost
    state        text  NOT NULL DEFAULT 'queued'
                 CHECK (state IN ('queued', 'waiting', 'done', 'refused')),
    outcome_code text,
    ask_at       timestamptz NOT NULL DEFAULT now(),
    filed_at     timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_credential_changes_open ON outbox_credential_changes (ask_at)
    WHERE state IN ('queued', 'waiting');
CREATE INDEX outbox_credential_changes_wallet ON outbox_credential_changes (wallet_id);
CREATE UNIQUE INDEX outbox_credential_changes_one ON outbox_credential_changes (wallet_id, recovery_id)
    WHERE state <> 'refused';
