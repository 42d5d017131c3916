"""Journals with a row of every kind, and what somebody with the file in hand would do to them."""

from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from contracts.customer_approvals import Credential
from contracts.typed_data import PaymentDomain, payment_digest
from wallet_node.journal.entries import (
    AttemptRefused,
    Charge,
    CredentialBound,
    CredentialChanged,
    IdRefused,
    MandateRegistered,
    MandateRevoked,
    NonceRepaired,
    OperationApproved,
    OperationExecuted,
    OperationExpired,
    OperationHandedOver,
    OperationPending,
    OperationWithdrawn,
    PaymentSigned,
    Reason,
    TransactionSigned,
    TypedDataSigned,
    mandate_proof_hash,
)
from wallet_node.journal.journal import Journal
from wallet_node.journal.nonces import (
    AUTHORIZATION,
    PAYMENT,
    PERMIT,
    TRANSACTION,
    Content,
    Fees,
    PaymentTerms,
    Space,
)
from wallet_node.journal.pages import Page, Row
from wallet_node.journal.periods import period_start_s
from wallet_node.journal.told import hash_description
from wallet_node.store import Changes, Store

POLICY, NEXT_POLICY = b"policy", b"another policy"
PAYMENTS = Space(31_337, b"C" * 20, PAYMENT)
PERMITS = Space(31_337, b"C" * 20, PERMIT)
AUTHORIZATIONS = Space(31_337, b"C" * 20, AUTHORIZATION)
ACCOUNT = Space(31_337, b"", TRANSACTION)
PAYER, PAYEE = b"P" * 20, b"Q" * 20
DIGEST = b"d" * 32
NOW_S = 1_800_000_000
DOMAIN = PaymentDomain("Tested", 31_337, b"C" * 20)
FIRST, SECOND = Credential(b"first", -8, b"F" * 32), Credential(b"second", -8, b"G" * 32)
MANDATE = sha256(b"mandate").digest()[:16]


def digest_of(source: bytes) -> bytes:
    return sha256(source).digest()


def open_journal(store: Store, policy: bytes = POLICY) -> Journal:
    """A journal of a home that serves DOMAIN."""
    row = (DOMAIN.chain_id, DOMAIN.contract, DOMAIN.name)
    with store.transaction() as connection:
        connection.execute("INSERT INTO deployment VALUES (1, ?, ?, ?) ON CONFLICT DO NOTHING", row)
    return Journal(store, digest_of(policy), policy)


def new_id(number: int) -> bytes:
    return sha256(number.to_bytes(8)).digest()[:16]


def paid(
    number: int,
    nonce: int,
    payer: bytes = PAYER,
    attempt: int = 1,
    until: int = 600,
    charges: tuple[Charge, ...] = (),
) -> Row:
    content, until_s = Content(payer, PAYEE, 100 + number), NOW_S + until
    digest = payment_digest(DOMAIN.separator, PAYEE, content.amount, nonce, until_s)
    signed = PaymentSigned(PAYMENTS, content, nonce, attempt, PaymentTerms(until_s), digest, charges)
    return Row(new_id(number), signed, b"p" * 32)


def called(number: int, nonce: int, attempt: int = 1, fees: tuple[int, int] = (9, 1)) -> Row:
    content = Content(PAYER, PAYEE, 0, b"h" * 32)
    return Row(new_id(number), TransactionSigned(ACCOUNT, content, nonce, attempt, Fees(*fees), DIGEST))


def refused(number: int, what: str = PAYMENT) -> Row:
    return Row(new_id(number), IdRefused(what, Content(PAYER, PAYEE, 0), (Reason("ZeroAmount", "nothing"),)))


def refused_attempt(number: int, code: str = "PaymentIdReused") -> Row:
    return Row(new_id(number), AttemptRefused(PAYMENT, None, (Reason(code, "as it is"),)))


def permitted(number: int, nonce: int | bytes, space: Space = PERMITS, form: str = "Permit") -> Row:
    content = Content(PAYER, PAYEE, 5, b"t" * 32)
    return Row(new_id(number), TypedDataSigned(space, content, nonce, 1, PaymentTerms(1), DIGEST, (), form))


def repaired(number: int, nonce: int, attempt: int = 1) -> Row:
    repair = NonceRepaired(ACCOUNT, PAYER, nonce, attempt, Fees(20, 9), DIGEST, new_id(900))
    return Row(new_id(number), repair)


def under_mandate(number: int, nonce: int) -> Row:
    """A payment under the mandate of `consent`, which also takes from two budgets."""
    charges = (("pay/unproved", True, 7), ("pay/unproved", False, 7))
    row = paid(number, nonce, charges=charges)
    return Row(row.intent_id, row.decision, mandate_proof_hash(MANDATE))


def consent() -> Page:
    """What customers gave, with the tables that say it."""
    wallet, first, second = PAYER, FIRST.struct_hash(), SECOND.struct_hash()
    terms = (PAYER, PAYEE, 500, "week", NOW_S, NOW_S + 9)
    change = msgspec.msgpack.encode((wallet, second, FIRST.credential_id, False))
    notes = [
        Row(wallet[:16], CredentialBound(wallet, first)),
        Row(new_id(703), CredentialChanged(wallet, second, first, "quorum", ends_mandates=False)),
        Row(MANDATE, MandateRegistered(*terms, DIGEST), b"m" * 32),
        Row(new_id(711), MandateRevoked()),
    ]
    tables: dict[str, list[tuple[Any, ...]]] = {
        "derived_keys": [(0, wallet, None)],
        "credentials": [
            (wallet, FIRST.credential_id, -8, FIRST.public_key, 1, 0, 0, b"s" * 16),
            (wallet, SECOND.credential_id, -8, SECOND.public_key, 0, 1, 5, b"s" * 16),
        ],
        "credential_changes": [(new_id(703), change)],
        "mandates": [(MANDATE, *terms, b"m" * 32, 0, b"s" * 16)],
        "mandate_revocations": [(new_id(711), NOW_S + 4)],
    }
    return Page(notes=notes, changes=_inserts(tables))


def operations() -> Page:
    """Operations that ended in every way, and one that waits."""
    ids = [new_id(number) for number in range(720, 724)]
    proposed = OperationPending("transaction", DIGEST, "treasury", 2, NOW_S + 60, "", hash_description("{}"))
    said = (b"1" * 32, b"2" * 32, b"3" * 32)
    notes = [
        *(Row(operation, proposed) for operation in ids),
        Row(ids[0], OperationApproved(DIGEST, "alena", NOW_S + 60, False), said[0]),
        Row(ids[0], OperationWithdrawn(DIGEST, "alena", NOW_S + 61, False), said[1]),
        Row(ids[0], OperationHandedOver(DIGEST, "others")),
        Row(ids[0], OperationExecuted(DIGEST, ("alena", "bohdan"))),
        Row(ids[1], OperationExpired(DIGEST)),
        Row(ids[2], OperationWithdrawn(DIGEST, "bohdan", NOW_S + 60, True), said[2]),
    ]
    states = ("executed", "expired", "withdrawn", "pending")
    when, policy = NOW_S + 4, digest_of(POLICY)
    tables: dict[str, list[tuple[Any, ...]]] = {
        "operations": [
            (
                *(operation, "transaction", DIGEST, "{}", "treasury" if place else "others", ""),
                *(when, NOW_S + 60, state, None if state == "pending" else when),
            )
            for place, (operation, state) in enumerate(zip(ids, states, strict=True))
        ],
        "operation_statements": [
            ("alena", said[0], ids[0], 1, policy, NOW_S + 60, when),
            ("alena", said[1], ids[0], 2, policy, NOW_S + 61, when),
            ("bohdan", said[2], ids[2], 2, policy, NOW_S + 60, when),
        ],
    }
    return Page(notes=notes, changes=_inserts(tables))


def spent() -> Changes:
    """What `under_mandate` takes, as the tables say it."""
    hour = (NOW_S + 4) // 3_600
    return _inserts(
        {
            "spending_ledgers": [(1, "pay/unproved")],
            "rolling_spending": [(1, PAYER, hour, 7), (1, b"", hour, 7)],
            "mandate_spending": [(MANDATE, period_start_s("week", NOW_S + 4), 104)],
        }
    )


def _inserts(tables: dict[str, list[tuple[Any, ...]]]) -> Changes:
    return [
        (f"INSERT INTO {table} VALUES ({','.join('?' * len(rows[0]))})", rows)
        for table, rows in tables.items()
    ]


def every_kind(path: Path) -> Store:
    """A closed journal in which every table has at least one row."""
    store = Store(path)
    journal = open_journal(store)
    journal.write(Page(first_attempts=[paid(n, n) for n in range(4)], refused=[refused(50)]), NOW_S)
    journal.write(Page(later_attempts=[paid(1, 1, attempt=3, until=700)]), NOW_S + 1)
    journal.write(Page(first_attempts=[called(10, 0), called(11, 5)]), NOW_S + 2)
    journal.write(Page(later_attempts=[called(11, 5, 2, (10, 2))], repairs=[repaired(11, 5)]), NOW_S + 2)
    random = permitted(21, b"n" * 32, AUTHORIZATIONS, "TransferWithAuthorization")
    journal.write(Page(first_attempts=[permitted(20, 0), random]), NOW_S + 3)
    journal.write(Page(refused_attempts=[refused_attempt(1), refused_attempt(1, "Other")]), NOW_S + 3)
    journal.write(consent(), NOW_S + 4)
    journal.write(operations(), NOW_S + 4)
    journal.write(Page(first_attempts=[under_mandate(4, 4)], changes=spent()), NOW_S + 4)
    page = Page(first_attempts=[paid(30, 0, payer=b"R" * 20)])
    page.activate(new_id(800), digest_of(NEXT_POLICY), NEXT_POLICY)
    journal.write(page, NOW_S + 5)
    journal.write(Page(first_attempts=[paid(n, n) for n in range(40, 43)]), NOW_S + 6)
    return store


ROWS = 34


def unguarded(store: Store, *statements: str) -> None:
    """Change a file as somebody who holds it would: triggers, foreign keys and all checks aside."""
    run = store.connection.execute
    run("PRAGMA foreign_keys = OFF")
    run("PRAGMA ignore_check_constraints = ON")
    for (name,) in run("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        run(f"DROP TRIGGER {name}")
    for statement in statements:
        run(statement)


def everything(store: Store) -> dict[str, list[Any]]:
    """Every row of every table."""
    tables = store.query("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name: sorted(store.query(f"SELECT * FROM {name}"), key=repr) for (name,) in tables}
