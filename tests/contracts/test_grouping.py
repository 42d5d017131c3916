"""A batch in groups: everybody's order is kept, the groups are few, and they are taken when cheaper."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.batch import Record, pack, unpack
from contracts.grouping import Payments, group, is_grouped_cheaper

BANK, SHOP, OTHER_SHOP = (bytes([index] * 20) for index in (201, 202, 203))


def customer(index: int) -> bytes:
    """With hardly a byte of zero, as addresses are: those cost less."""
    return (index + 0x01010101).to_bytes(4, "big") * 5


def batch(*pairs: tuple[bytes, bytes]) -> Payments:
    """(payer, payee) as payments that can be told apart; a payer's nonces count up."""
    used: dict[bytes, int] = {}
    payments = []
    for index, (payer, payee) in enumerate(pairs):
        nonce = used.get(payer, 0)
        used[payer] = nonce + 1
        payments.append((payer, Record(payee, index + 1, nonce, bytes(32), bytes(32))))
    return payments


def payees(payments: Payments) -> list[tuple[bytes, int]]:
    """The groups' payees and sizes, and at the end those of the flat records."""
    groups, flat, _ = group(payments)
    return [(each[0].payee, len(each)) for each in groups] + [(each.payee, 1) for each in flat]


ACCOUNTS = st.integers(0, 7).map(customer)
BATCHES = st.lists(st.tuples(ACCOUNTS, ACCOUNTS), max_size=40).map(lambda pairs: batch(*pairs))


@settings(deadline=None)
@given(payments=BATCHES)
def test_every_record_is_there_once_and_its_source_says_where_it_was(payments: Payments) -> None:
    groups, flat, sources = group(payments)
    assert sorted(sources) == list(range(len(payments)))
    placed = [record for each in groups for record in each] + flat
    assert placed == [payments[index][1] for index in sources]
    assert all(len({record.payee for record in each}) == 1 for each in groups)


@settings(deadline=None)
@given(payments=BATCHES)
def test_records_that_share_an_account_keep_their_order(payments: Payments) -> None:
    last: dict[bytes, int] = {}
    for index in group(payments).sources:
        payer, record = payments[index]
        for account in {payer, record.payee}:
            assert last.get(account, -1) < index
            last[account] = index


@given(payments=BATCHES)
def test_the_same_batch_is_always_put_into_the_same_groups(payments: Payments) -> None:
    """After a crash the same bytes are wanted again."""
    assert group(payments) == group(list(payments))


def test_payers_who_share_nothing_meet_at_their_payees() -> None:
    pairs = [(customer(index), SHOP if index % 2 else OTHER_SHOP) for index in range(10)]
    assert payees(batch(*pairs)) == [(OTHER_SHOP, 5), (SHOP, 5)]


def test_fundings_go_ahead_of_the_payments_that_wait_for_them() -> None:
    pairs = []
    for index in range(5):
        pairs += [(BANK, customer(index)), (customer(index), SHOP)]
    funded = [(customer(index), 1) for index in range(5)]
    assert sorted(payees(batch(*pairs))[:-1]) == funded
    assert payees(batch(*pairs))[-1] == (SHOP, 5)


def test_fundings_go_ahead_even_if_their_payees_are_paid_again_later() -> None:
    pairs = []
    for index in range(5):
        pairs += [(BANK, customer(index)), (customer(index), SHOP)]
    pairs += [(customer(20 + index), customer(index)) for index in range(5)]
    assert (SHOP, 5) in payees(batch(*pairs))


def test_what_a_payee_pays_in_between_splits_its_group() -> None:
    pairs = [(customer(1), SHOP), (SHOP, customer(2)), (customer(2), SHOP)]
    assert payees(batch(*pairs)) == [(SHOP, 1), (customer(2), 1), (SHOP, 1)]


def test_a_payment_to_oneself_is_grouped_like_any_other() -> None:
    assert payees(batch((SHOP, SHOP), (customer(1), SHOP), (SHOP, SHOP))) == [(SHOP, 3)]


def test_nothing_makes_no_group() -> None:
    assert group([]) == ([], [], [])


def test_a_group_is_never_too_large_for_its_count() -> None:
    payments = batch(*[(customer(index), SHOP) for index in range(65_536)])
    assert payees(payments) == [(SHOP, 65_535), (SHOP, 1)]


def test_full_batches_are_grouped_almost_as_well_as_they_could_be() -> None:
    """Half of the payers funded, a fifth of the payments from person to person, merchants by a Zipf law."""
    dice = random.Random(3)
    merchants = [customer(index) for index in range(500)]
    weights = [1 / (1 + index) for index in range(500)]
    pairs: list[tuple[bytes, bytes]] = []
    while len(pairs) < 500:
        payer = customer(1_000 + dice.randrange(5_000))
        shop = dice.choices(merchants, weights)[0]
        payee = customer(1_000 + dice.randrange(5_000)) if dice.random() < 0.2 else shop
        pairs += [(BANK, payer)] * (dice.random() < 0.5) + [(payer, payee)]
    groups, flat, _ = group(batch(*pairs))
    assert len(groups) + len(flat) <= 1.05 * len({payee for _, payee in pairs})
    assert is_grouped_cheaper(group(batch(*pairs)))


def test_a_record_alone_goes_behind_the_groups_unless_one_waits_for_it() -> None:
    pairs = [(customer(1), OTHER_SHOP), (BANK, customer(2)), (customer(2), SHOP), (customer(3), SHOP)]
    groups, flat, sources = group(batch(*pairs))
    assert [[each.payee for each in records] for records in groups] == [[customer(2)], [SHOP, SHOP]]
    assert [each.payee for each in flat] == [OTHER_SHOP]
    assert sources == [1, 2, 3, 0]


def test_a_payer_with_one_record_flat_and_one_in_a_group_keeps_its_order() -> None:
    pairs = [(customer(1), OTHER_SHOP), (customer(1), SHOP), (customer(2), SHOP), (customer(2), BANK)]
    groups, flat, sources = group(batch(*pairs))
    assert [[each.payee for each in records] for records in groups] == [[OTHER_SHOP], [SHOP, SHOP]]
    assert [each.payee for each in flat] == [BANK]
    assert sources == [0, 1, 2, 3]


def test_groups_are_cheaper_just_when_payees_repeat_enough() -> None:
    """The form costs something once, a group more than a record: a group's further records pay for it."""
    assert not is_grouped_cheaper(group([]))
    for count, is_cheaper in ((1, False), (3, False), (4, True), (100, True)):
        assert is_grouped_cheaper(group(batch(*[(customer(at), SHOP) for at in range(count)]))) is is_cheaper
    alone = [(customer(10 + index), customer(200 + index)) for index in range(50)]
    assert not is_grouped_cheaper(group(batch(*alone)))
    assert is_grouped_cheaper(group(batch(*alone, *[(customer(at), SHOP) for at in range(4)])))


def test_the_order_of_a_flat_batch_is_untouched() -> None:
    records = [record for _, record in batch((BANK, SHOP), (SHOP, BANK))]
    assert unpack(pack(records)) == records
