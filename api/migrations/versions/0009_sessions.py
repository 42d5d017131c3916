"""Sessions have a device, say how their person was recognised, and end when they are not used."""

from __future__ import annotations

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Make the table anew: who was signed in signs in again."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute("DROP TABLE customer_sessions")
    op.execute(
        """
        CREATE TABLE sessions (
            id           uuid  PRIMARY KEY,
            token_hash   bytea NOT NULL UNIQUE CHECK (octet_length(token_hash) = 32),
            customer_id  uuid  NOT NULL REFERENCES customers (id),
            assurance    text  NOT NULL CHECK (assurance IN ('sandbox', 'password', 'totp', 'passkey')),
            device_name  text  NOT NULL CHECK (length(device_name) <= 200),
            opened_at    timestamptz NOT NULL DEFAULT now(),
            last_used_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    op.execute("CREATE INDEX sessions_customer ON sessions (customer_id)")
