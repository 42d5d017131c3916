"""What the journal says of ids: their first rows, later attempts and repairs."""

from collections.abc import Collection, Sequence

from wallet_node.errors import JournalBroken, Refusal
from wallet_node.journal.entries import (
    AnyDecision,
    Entry,
    IdRefused,
    NonceRepaired,
    PaymentSigned,
    TransactionSigned,
    TypedDataSigned,
    decode,
)
from wallet_node.journal.nonces import Known, KnownIntent, RefusedIntent
from wallet_node.store import VALUES_IN_ONE_QUERY, Store


def read_known(store: Store, intent_ids: Collection[bytes]) -> dict[bytes, Known]:
    """Those of `intent_ids` that were decided already: with a nonce and all attempts, or refused.

    Raises JournalBroken when a table names a row that says something else.
    """
    ids = list(intent_ids)
    found: dict[bytes, Known] = {}
    for at in range(0, len(ids), VALUES_IN_ONE_QUERY):
        part = ids[at : at + VALUES_IN_ONE_QUERY]
        first_rows = _rows_of(store, "intents", part)
        if not first_rows:
            continue
        found.update((intent_id, _known_from(entry)) for intent_id, entry in first_rows)
        for table in ("attempts", "repairs"):
            for intent_id, entry in _rows_of(store, table, part):
                _add(found.get(intent_id), entry.decision, entry.sequence)
    return found


def _rows_of(store: Store, table: str, ids: Sequence[bytes]) -> list[tuple[bytes, Entry]]:
    """The rows that a table names for these ids, the oldest first."""
    found = store.query_in(
        f"SELECT t.intent_id, sequence, entry FROM {table} t JOIN journal USING (sequence)"  # noqa: S608
        " WHERE t.intent_id IN (#) ORDER BY sequence",
        ids,
    )
    rows = []
    for intent_id, sequence, stored in found:
        entry = decode(stored, sequence)
        if entry.intent_id != intent_id:
            raise JournalBroken(f"row {sequence} is about another id than the table of {table} says")
        rows.append((intent_id, entry))
    return rows


def _known_from(entry: Entry) -> Known:
    decision = entry.decision
    match decision:
        case PaymentSigned() | TransactionSigned() | TypedDataSigned():
            return KnownIntent(
                decision.content,
                decision.space,
                decision.nonce,
                {decision.attempt: decision.terms},
                is_proved=bool(entry.proof_hash),
                first_signed_s=entry.recorded_at_s,
            )
        case IdRefused():
            return RefusedIntent(tuple(Refusal(each.code, each.detail) for each in decision.reasons))
        case _:
            raise JournalBroken(f"row {entry.sequence} is no first decision about an id")


def _add(known: Known | None, decision: AnyDecision, sequence: int) -> None:
    match known, decision:
        case KnownIntent(), PaymentSigned() | TransactionSigned() | TypedDataSigned():
            known.attempts[decision.attempt] = decision.terms
        case KnownIntent(), NonceRepaired():
            known.repairs[decision.attempt] = decision.terms
            known.repaired_by = decision.operation_id
        case _:
            raise JournalBroken(f"row {sequence} is no attempt at a signed id")
