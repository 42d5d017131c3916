"""Journals with a row of every kind, and what somebody with the file in hand would do to them."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from wallet_node.journal.entries import (
    AttemptRefused,
    CredentialBound,
    CredentialChanged,
    IdRefused,
    MandateRegistered,
    MandateRevoked,
    NonceRepaired,
    OperationApproved,
    OperationExecuted,
    OperationExpired,
    OperationPending,
    OperationWithdrawn,
    PaymentSigned,
    Reason,
    TransactionSigned,
    TypedDataSigned,
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
from wallet_node.store import Store

POLICY, NEXT_POLICY = b"policy", b"another policy"
PAYMENTS = Space(31_337, b"C" * 20, PAYMENT)
PERMITS = Space(31_337, b"C" * 20, PERMIT)
AUTHORIZATIONS = Space(31_337, b"C" * 20, AUTHORIZATION)
ACCOUNT = Space(31_337, b"", TRANSACTION)
PAYER, PAYEE = b"P" * 20, b"Q" * 20
DIGEST = b"d" * 32
NOW_S = 1_800_000_000


def digest_of(source: bytes) -> bytes:
    return sha256(source).digest()


def open_journal(store: Store, policy: bytes = POLICY) -> Journal:
    return Journal(store, digest_of(policy), policy)


def new_id(number: int) -> bytes:
    return sha256(number.to_bytes(8)).digest()[:16]


def paid(number: int, nonce: int, payer: bytes = PAYER, attempt: int = 1, until: int = 600) -> Row:
    content = Content(payer, PAYEE, 100 + number)
    signed = PaymentSigned(PAYMENTS, content, nonce, attempt, PaymentTerms(NOW_S + until), DIGEST)
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
    return Row(new_id(number), TypedDataSigned(space, content, nonce, 1, PaymentTerms(1), DIGEST, form))


def repaired(number: int, nonce: int, attempt: int = 1) -> Row:
    repair = NonceRepaired(ACCOUNT, PAYER, nonce, attempt, Fees(20, 9), DIGEST, new_id(900))
    return Row(new_id(number), repair)


NOTES = [
    OperationPending("transaction", DIGEST, "treasury", 2, NOW_S + 60, ""),
    OperationApproved(DIGEST, "alena", NOW_S + 60),
    OperationWithdrawn(DIGEST, "alena"),
    OperationExpired(DIGEST),
    OperationExecuted(DIGEST, ("alena", "bohdan")),
    CredentialBound(PAYER, DIGEST),
    CredentialChanged(PAYER, DIGEST, bytes(32), "quorum"),
    MandateRegistered(PAYER, PAYEE, 500, "week", NOW_S, NOW_S + 9, DIGEST),
    MandateRevoked(),
]


def every_kind(path: Path) -> Store:
    """A closed journal of 28 rows in which every table has at least one."""
    store = Store(path)
    journal = open_journal(store)
    journal.write(Page(first_attempts=[paid(n, n) for n in range(4)], refused=[refused(50)]), NOW_S)
    journal.write(Page(later_attempts=[paid(1, 1, attempt=3, until=700)]), NOW_S + 1)
    journal.write(Page(first_attempts=[called(10, 0), called(11, 5)]), NOW_S + 2)
    journal.write(Page(later_attempts=[called(11, 5, 2, (10, 2))], repairs=[repaired(11, 5)]), NOW_S + 2)
    random = permitted(21, b"n" * 32, AUTHORIZATIONS, "TransferWithAuthorization")
    journal.write(Page(first_attempts=[permitted(20, 0), random]), NOW_S + 3)
    journal.write(Page(refused_attempts=[refused_attempt(1), refused_attempt(1, "Other")]), NOW_S + 3)
    journal.write(Page(notes=[Row(new_id(700), note) for note in NOTES]), NOW_S + 4)
    page = Page(first_attempts=[paid(30, 0, payer=b"R" * 20)])
    page.activate(new_id(800), digest_of(NEXT_POLICY), NEXT_POLICY)
    journal.write(page, NOW_S + 5)
    journal.write(Page(first_attempts=[paid(n, n) for n in range(40, 43)]), NOW_S + 6)
    return store


ROWS = 28


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
