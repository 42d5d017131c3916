"""What people and machines are told: feeds, deliveries, preferences, webhooks; a sandbox's mailbox."""

from __future__ import annotations

from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add to the schema; nobody is enrolled yet."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        """
        CREATE TABLE notification_people (             -- whom to tell, where, and how far they have read
            customer_id uuid   PRIMARY KEY REFERENCES customers (id),
            language    text   NOT NULL DEFAULT 'en' CHECK (language IN ('en', 'zh')),
            email       text   CHECK (length(email) <= 320),
            phone       text   CHECK (length(phone) <= 32),
            read_seq    bigint NOT NULL DEFAULT 0
        )
        """
    )
    op.execute(
        """
        CREATE TABLE notification_preferences (
            customer_id uuid    NOT NULL REFERENCES customers (id),
            kind        text    NOT NULL,
            channel     text    NOT NULL CHECK (channel IN ('in_app', 'email', 'sms')),
            is_on       boolean NOT NULL,
            PRIMARY KEY (customer_id, kind, channel)
        )
        """
    )
    op.execute(
        """
        CREATE TABLE notification_feed (
            seq         bigint  GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            customer_id uuid    NOT NULL REFERENCES customers (id),
            kind        text    NOT NULL,
            args        jsonb   NOT NULL,
            once        text    NOT NULL UNIQUE,       -- the occasion: told once, whoever tells it again
            is_shown    boolean NOT NULL,              -- false: its reader had wished not to hear of it
            noted_at    timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX notification_feed_customer ON notification_feed (customer_id, seq)")
    op.execute(
        """CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON notification_feed
               FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""
    )
    op.execute(
        """
        CREATE TABLE notification_deliveries (
            id          uuid    PRIMARY KEY,           -- the message's own id, the same at every try
            customer_id uuid    REFERENCES customers (id), -- null: a code, to whoever reads the contact
            channel     text    NOT NULL CHECK (channel IN ('email', 'sms')),
            address     text    NOT NULL,
            language    text    NOT NULL CHECK (language IN ('en', 'zh')),
            kind        text    NOT NULL,
            args        jsonb,                         -- null: a code that was sent or has expired
            state       text    NOT NULL DEFAULT 'queued'
                        CHECK (state IN ('queued', 'delivered', 'dead', 'expired')),
            attempts    integer NOT NULL DEFAULT 0,
            next_try_at timestamptz NOT NULL DEFAULT now(),
            expires_at  timestamptz,
            last_error  text    NOT NULL DEFAULT '',
            created_at  timestamptz NOT NULL DEFAULT now(),
            ended_at    timestamptz,
            CHECK ((state = 'queued') = (ended_at IS NULL)),
            CHECK (state <> 'queued' OR args IS NOT NULL)
        )
        """
    )
    op.execute(
        """CREATE INDEX notification_deliveries_due ON notification_deliveries (next_try_at)
            WHERE state = 'queued'"""
    )
    op.execute(
        """CREATE INDEX notification_deliveries_ended ON notification_deliveries (ended_at)
            WHERE state <> 'queued'"""
    )
    op.execute(
        """
        CREATE TABLE sandbox_mailbox (                 -- what would have left the house, in a sandbox
            seq     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            id      uuid   NOT NULL UNIQUE,
            channel text   NOT NULL,
            address text   NOT NULL,
            subject text   NOT NULL,
            text    text   NOT NULL,
            sent_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX sandbox_mailbox_address ON sandbox_mailbox (address, seq)")
    op.execute(
        """
        CREATE TABLE webhook_endpoints (
            id            uuid   PRIMARY KEY,
            url           text   NOT NULL CHECK (length(url) <= 2000),
            events        text[] NOT NULL,
            description   text   NOT NULL,
            secret        bytea  NOT NULL,             -- signs, so it must be here; nobody is shown it again
            secret_id     uuid   NOT NULL,               -- the intention that it was made for
            former_secret bytea,
            former_until  timestamptz,
            created_by    text   NOT NULL,
            created_at    timestamptz NOT NULL DEFAULT now(),
            failing_since timestamptz,
            disabled_at   timestamptz,
            disabled_why  text   NOT NULL DEFAULT ''
        )
        """
    )
    op.execute(
        """
        CREATE TABLE webhook_events (                    -- those that some webhook wanted
            id          uuid PRIMARY KEY,
            name        text NOT NULL,
            body        text NOT NULL,                   -- byte for byte what is signed and sent
            occurred_at timestamptz NOT NULL,
            noted_at    timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX webhook_events_noted ON webhook_events (noted_at)")
    op.execute(
        """
        CREATE TABLE webhook_deliveries (
            seq         bigint  GENERATED ALWAYS AS IDENTITY UNIQUE,
            id          uuid    PRIMARY KEY,
            endpoint_id uuid    NOT NULL REFERENCES webhook_endpoints (id) ON DELETE CASCADE,
            event_id    uuid    NOT NULL REFERENCES webhook_events (id) ON DELETE CASCADE,
            state       text    NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'delivered', 'dead')),
            attempts    integer NOT NULL DEFAULT 0,
            next_try_at timestamptz NOT NULL DEFAULT now(),
            last_status integer,
            last_error  text    NOT NULL DEFAULT '',
            created_at  timestamptz NOT NULL DEFAULT now(),
            ended_at    timestamptz,
            CHECK ((state = 'queued') = (ended_at IS NULL))
        )
        """
    )
    op.execute(
        """CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_try_at)
            WHERE state = 'queued'"""
    )
    op.execute("CREATE INDEX webhook_deliveries_log ON webhook_deliveries (endpoint_id, seq)")
    op.execute("CREATE INDEX webhook_deliveries_event ON webhook_deliveries (event_id)")
    # who wrote a row, so that a reader can tell where nothing can be added any more; older rows have nobody
    op.execute("ALTER TABLE payments ADD COLUMN written_by xid8")
    op.execute("ALTER TABLE payments ALTER COLUMN written_by SET DEFAULT pg_current_xact_id()")
    op.execute("CREATE INDEX payments_written ON payments (written_by)")
    op.execute("ALTER TABLE outbox_payments ADD COLUMN closed_by xid8")
    op.execute("CREATE INDEX outbox_payments_failed ON outbox_payments (closed_by) WHERE state = 'failed'")
    op.execute(
        """
        CREATE TABLE payment_announcements (             -- how far payments were announced
            singleton     boolean PRIMARY KEY DEFAULT true CHECK (singleton),
            next_xid      xid8    NOT NULL,              -- what these and later transactions wrote is to come
            last_entry_id bigint  NOT NULL
        )
        """
    )
    op.execute(
        """INSERT INTO payment_announcements (next_xid, last_entry_id)
           SELECT pg_current_xact_id(), coalesce(max(id), 0) FROM ledger_entries"""
    )
