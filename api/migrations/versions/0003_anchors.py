"""What an institution has anchored of its logs, and where the ledger's tree goes on."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add to the schema."""
    op.execute("SET LOCAL lock_timeout = '10s'")
    op.execute(
        """
        CREATE TABLE chain_anchors (
            seq            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            log            text   NOT NULL CHECK (log IN ('ledger', 'signer')),
            size           bigint NOT NULL CHECK (size > 0),
            root           bytea  NOT NULL CHECK (octet_length(root) = 32),
            last_entry_id  bigint,                               -- ledger: the entry that is the last leaf
            peaks          bytea,                                -- ledger: contracts.merkle.Frontier
            transaction_id uuid   NOT NULL UNIQUE,               -- chain_transactions.id: what became of it
            anchored_at    timestamptz NOT NULL DEFAULT now(),
            CHECK ((log = 'ledger') = (last_entry_id IS NOT NULL AND peaks IS NOT NULL))
        )
        """
    )
    op.execute("CREATE INDEX chain_anchors_last ON chain_anchors (log, seq)")
    op.execute("CREATE INDEX chain_anchors_rounds ON chain_anchors (anchored_at)")
    op.execute(
        """CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON chain_anchors
               FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"""
    )
