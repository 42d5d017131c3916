"""Whatever happens to the books, in any order, some things stay true.

After every posting of a random history
├── no posted balance is below zero
├── held is the sum of the unresolved holds
├── the total of all deposits is what was paid in
├── a refused verb leaves every balance as it was
├── the balances that a Posting reports are those that the database then holds
└── the books recomputed from the journal have no difference
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api.database import Connection, Pool, transaction
from api.errors import FlorinError
from api.ledger.balances import read_balances
from api.ledger.journal import Hold, Posting
from api.ledger.verify import verify_ledger
from tests.api.ledger.conftest import transfer

if TYPE_CHECKING:
    from tests.api.ledger.conftest import Deposits

OPENING_MINOR = 100
ACCOUNTS = 4

account_numbers = st.integers(0, ACCOUNTS - 1)
amounts = st.integers(1, 120)
businesses = st.integers(0, 5)
verbs = st.one_of(
    st.tuples(st.just("reserve"), account_numbers, amounts, businesses),
    st.tuples(st.just("post"), account_numbers, account_numbers, amounts, st.none() | businesses),
    st.tuples(st.just("void"), businesses),
)
histories = st.lists(st.lists(verbs, min_size=1, max_size=6), min_size=1, max_size=6)


@given(history=histories)
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_the_books_hold_after_any_history(
    pool: Pool, deposits: Deposits, history: list[list[tuple[object, ...]]]
) -> None:
    accounts = await deposits(*[OPENING_MINOR] * ACCOUNTS)
    named = [uuid.uuid4() for _ in range(6)]
    open_holds: dict[uuid.UUID, list[Hold]] = {}
    for batch in history:
        async with transaction(pool) as conn:
            posting = await Posting.open(conn, accounts, for_businesses=named)
            for verb in batch:
                before = [(posting.posted(a), posting.available(a)) for a in accounts]
                try:
                    _perform(posting, verb, accounts, named, open_holds)
                except FlorinError:
                    assert [(posting.posted(a), posting.available(a)) for a in accounts] == before
            await posting.write()
            await _require_invariants(conn, posting, accounts, open_holds)
    async with pool.acquire() as conn:
        assert await verify_ledger(conn) == []


def _perform(
    posting: Posting,
    verb: tuple[object, ...],
    accounts: list[int],
    named: list[uuid.UUID],
    open_holds: dict[uuid.UUID, list[Hold]],
) -> None:
    match verb:
        case ("reserve", int(account), int(amount_minor), int(business)):
            hold = Hold(accounts[account], amount_minor, named[business])
            posting.reserve(hold)
            open_holds.setdefault(named[business], []).append(hold)
        case ("post", int(payer), int(payee), int(amount_minor), business):
            resolves = named[business] if isinstance(business, int) else None
            resolved = posting.post(transfer(accounts[payer], accounts[payee], amount_minor), resolves)
            assert list(resolved) == (open_holds.pop(resolves, []) if resolves else [])
        case ("void", int(business)):
            assert list(posting.void(named[business])) == open_holds.pop(named[business], [])


async def _require_invariants(
    conn: Connection, posting: Posting, accounts: list[int], open_holds: dict[uuid.UUID, list[Hold]]
) -> None:
    stored = await read_balances(conn, accounts)
    assert sum(balance.posted_minor for balance in stored.values()) == OPENING_MINOR * ACCOUNTS
    for account in accounts:
        balance = stored[account]
        assert balance.posted_minor >= 0
        held = [
            hold.amount_minor for holds in open_holds.values() for hold in holds if hold.account_id == account
        ]
        assert balance.held_minor == sum(held)
        assert (posting.posted(account), posting.available(account)) == (
            balance.posted_minor,
            balance.available_minor,
        )
