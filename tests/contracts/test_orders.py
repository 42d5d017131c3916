"""Orders: who registers and uses them, to the unit of their cap, and what they do to an account together."""

from collections.abc import Callable

import pytest
from eth_hash.auto import keccak

from contracts import abi, orders
from contracts.abi import (
    AccountFlag,
    AccountFrozen,
    AccountRegistered,
    AccountUnfrozen,
    Event,
    FundsHeldUnderOrder,
    FundsReleased,
    OrderRegistered,
    OrderRevoked,
    Transfer,
    TransferForced,
)
from contracts.batch import SkipReason
from contracts.memberships import (
    encode_reinstate_participant,
    encode_set_system_account,
    encode_suspend_participant,
)
from contracts.orders import Order, OrderUse, Restriction
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BOB,
    CAROL,
    COURT,
    GOVERNOR,
    MERCHANT,
    NOBODY,
    REGISTRAR,
    RETAIL_HOLDING,
    RETAIL_TIER,
    STRANGER,
    SUPERVISOR,
    SUPPLY,
    TAX_OFFICE,
    UNLINKED,
    Person,
    Refused,
    World,
)

UNKNOWN = keccak(b"never registered")
CAP = 1_000

# What the authority of an order in force does with it.
USES: dict[str, Callable[[bytes], bytes]] = {
    "freeze": lambda order: orders.encode_freeze(order, ALICE.address),
    "hold": lambda order: orders.encode_hold(order, ALICE.address, 1),
    "forceTransfer": lambda order: orders.encode_force_transfer(order, ALICE.address, CAROL.address, 1),
}
# What ends it, for the authority and the registrar.
ENDS: dict[str, Callable[[bytes], bytes]] = {
    "unfreeze": lambda order: orders.encode_unfreeze(order, ALICE.address),
    "release": lambda order: orders.encode_release(order, ALICE.address, 1),
}
BOTH = {**USES, **ENDS}


@pytest.fixture
def order(world: World) -> bytes:
    return world.register_order(cap=CAP)


def read_order(world: World, order: bytes) -> Order:
    return orders.decode_order(world.read(orders.encode_order(order)))


def read_use(world: World, order: bytes, person: Person) -> OrderUse:
    return orders.decode_order_use(world.read(orders.encode_order_use(order, person.address)))


def restriction(world: World, person: Person) -> Restriction:
    return orders.decode_restriction(world.read(orders.encode_restriction(person.address)))


def freeze(world: World, order: bytes, person: Person, authority: bytes = COURT) -> list[Event]:
    return world.do(authority, orders.encode_freeze(order, person.address))


def unfreeze(world: World, order: bytes, person: Person, authority: bytes = COURT) -> list[Event]:
    return world.do(authority, orders.encode_unfreeze(order, person.address))


def hold(world: World, order: bytes, person: Person, amount: int, authority: bytes = COURT) -> list[Event]:
    return world.do(authority, orders.encode_hold(order, person.address, amount))


def release(world: World, order: bytes, person: Person, amount: int, authority: bytes = COURT) -> list[Event]:
    return world.do(authority, orders.encode_release(order, person.address, amount))


def force(
    world: World, order: bytes, payer: Person, payee: Person, amount: int, authority: bytes = COURT
) -> list[Event]:
    data = orders.encode_force_transfer(order, payer.address, payee.address, amount)
    return world.do(authority, data)


# The register


def test_an_order_is_registered_told_and_read(world: World) -> None:
    order, expiry_s = keccak(b"document"), world.evm.time_s + 1
    (event,) = world.do(REGISTRAR, orders.encode_register_order(order, COURT, 2**96 - 1, expiry_s))
    assert isinstance(event, OrderRegistered)
    assert (event.order, event.authority, event.cap_minor, event.expiry_s) == (
        order,
        COURT,
        2**96 - 1,
        expiry_s,
    )
    assert read_order(world, order) == Order(COURT, 2**96 - 1, 0, expiry_s, False)
    assert read_order(world, UNKNOWN) == Order(bytes(20), 0, 0, 0, False)


def test_the_registrar_is_nobodys_authority(world: World) -> None:
    order = keccak(b"of his own")
    data = orders.encode_register_order(order, REGISTRAR, 5, 2**40)
    expected = ("AuthorityIsRegistrar", {"order": order, "authority": REGISTRAR})
    assert world.refusal(REGISTRAR, data) == expected


@pytest.mark.parametrize("name", USES)
def test_an_authority_that_was_made_registrar_uses_no_order_and_can_still_end_it(
    world: World, order: bytes, name: str
) -> None:
    freeze(world, order, BOB)
    world.do(REGISTRAR, abi.encode_offer_role(abi.ROLES["REGISTRAR"], COURT))
    world.do(COURT, abi.encode_accept_role(abi.ROLES["REGISTRAR"]))
    expected = ("AuthorityIsRegistrar", {"order": order, "authority": COURT})
    assert world.refusal(COURT, USES[name](order)) == expected
    unfreeze(world, order, BOB)


def test_an_id_is_used_once(world: World, order: bytes) -> None:
    again = orders.encode_register_order(order, TAX_OFFICE, 5, 2**40)
    assert world.refusal(REGISTRAR, again) == ("OrderExists", {"order": order})
    world.do(REGISTRAR, orders.encode_revoke_order(order))
    assert world.refusal(REGISTRAR, again) == ("OrderExists", {"order": order})


def test_an_order_without_an_authority_or_without_time_is_refused(world: World) -> None:
    now = world.evm.time_s
    nobody = orders.encode_register_order(UNKNOWN, bytes(20), CAP, 2**40)
    assert world.refusal(REGISTRAR, nobody)[0] == "ZeroAddress"
    for expiry_s in (0, now - 1, now):
        late = orders.encode_register_order(UNKNOWN, COURT, CAP, expiry_s)
        assert world.refusal(REGISTRAR, late) == (
            "OrderExpired",
            {"order": UNKNOWN, "expiry": expiry_s, "blockTime": now},
        )


def test_an_order_is_revoked_once(world: World, order: bytes) -> None:
    assert world.refusal(REGISTRAR, orders.encode_revoke_order(UNKNOWN)) == (
        "UnknownOrder",
        {"order": UNKNOWN},
    )
    (event,) = world.do(REGISTRAR, orders.encode_revoke_order(order))
    assert isinstance(event, OrderRevoked)
    assert event.order == order
    assert read_order(world, order).is_revoked
    assert world.refusal(REGISTRAR, orders.encode_revoke_order(order)) == ("OrderIsRevoked", {"order": order})


@pytest.mark.parametrize("name", sorted(BOTH))
def test_an_unknown_order_does_nothing(world: World, name: str) -> None:
    for caller in (COURT, REGISTRAR, bytes(20)):
        assert world.refusal(caller, BOTH[name](UNKNOWN)) == ("UnknownOrder", {"order": UNKNOWN})


@pytest.mark.parametrize("name", sorted(USES))
def test_nobody_but_its_authority_uses_an_order(world: World, order: bytes, name: str) -> None:
    world.register_order("another", authority=TAX_OFFICE)
    strangers = (
        TAX_OFFICE,
        REGISTRAR,
        GOVERNOR,
        SUPERVISOR,
        BANK_A.address,
        ALICE.address,
        NOBODY,
        bytes(20),
    )
    for caller in strangers:
        assert world.refusal(caller, USES[name](order)) == (
            "NotTheAuthority",
            {"order": order, "caller": caller},
        )


@pytest.mark.parametrize("name", sorted(ENDS))
def test_nobody_but_its_authority_and_the_registrar_ends_what_it_does(
    world: World, order: bytes, name: str
) -> None:
    freeze(world, order, ALICE)
    hold(world, order, ALICE, 1)
    for caller in (TAX_OFFICE, GOVERNOR, SUPERVISOR, BANK_A.address, ALICE.address, NOBODY, bytes(20)):
        assert world.refusal(caller, ENDS[name](order)) == (
            "NotTheAuthority",
            {"order": order, "caller": caller},
        )


@pytest.mark.parametrize("name", sorted(USES))
def test_a_revoked_order_is_not_used(world: World, order: bytes, name: str) -> None:
    world.do(REGISTRAR, orders.encode_revoke_order(order))
    assert world.refusal(COURT, USES[name](order)) == ("OrderIsRevoked", {"order": order})


@pytest.mark.parametrize("name", sorted(USES))
def test_an_order_is_used_strictly_before_its_expiry(world: World, name: str) -> None:
    expiry_s = world.evm.time_s + 10
    order = world.register_order(expiry_s=expiry_s)
    world.evm.set_time(expiry_s)
    assert world.refusal(COURT, USES[name](order)) == (
        "OrderExpired",
        {"order": order, "expiry": expiry_s, "blockTime": expiry_s},
    )
    world.evm.set_time(expiry_s - 1)
    world.do(COURT, USES[name](order))


@pytest.mark.parametrize("ending", ["revoked", "expired"])
@pytest.mark.parametrize("caller", [COURT, REGISTRAR])
def test_what_was_done_stays_after_the_order_and_can_be_ended(
    world: World, order: bytes, ending: str, caller: bytes
) -> None:
    freeze(world, order, ALICE)
    hold(world, order, ALICE, 10)
    if ending == "revoked":
        world.do(REGISTRAR, orders.encode_revoke_order(order))
    else:
        world.wait(90_000)
    assert restriction(world, ALICE) == Restriction(10, 1)
    unfreeze(world, order, ALICE, caller)
    release(world, order, ALICE, 10, caller)
    assert restriction(world, ALICE) == Restriction(0, 0)
    world.transfer(ALICE, CAROL, 5)


@pytest.mark.parametrize("name", sorted(USES))
def test_who_has_no_account_cannot_be_concerned(world: World, order: bytes, name: str) -> None:
    data = {
        "freeze": orders.encode_freeze(order, STRANGER.address),
        "hold": orders.encode_hold(order, STRANGER.address, 1),
        "forceTransfer": orders.encode_force_transfer(order, STRANGER.address, CAROL.address, 1),
    }[name]
    assert world.refusal(COURT, data) == ("AccountNotRegistered", {"account": STRANGER.address})


@pytest.mark.parametrize("name", sorted(USES))
def test_the_systems_accounts_cannot_be_concerned(world: World, order: bytes, name: str) -> None:
    world.do(GOVERNOR, encode_set_system_account(STRANGER.address, RETAIL_TIER))
    calls = {
        "freeze": [orders.encode_freeze(order, STRANGER.address)],
        "hold": [orders.encode_hold(order, STRANGER.address, 1)],
        "forceTransfer": [
            orders.encode_force_transfer(order, STRANGER.address, CAROL.address, 1),
            orders.encode_force_transfer(order, ALICE.address, STRANGER.address, 1),
        ],
    }[name]
    for data in calls:
        assert world.refusal(COURT, data) == ("AccountNotChangeable", {"account": STRANGER.address})


# Freezing


def test_a_freeze_stops_payments_on_both_paths_and_both_ways(world: World, order: bytes) -> None:
    frozen, registered = freeze(world, order, ALICE)
    assert isinstance(frozen, AccountFrozen)
    assert (frozen.order, frozen.account) == (order, ALICE.address)
    assert isinstance(registered, AccountRegistered)
    assert registered.account == ALICE.address
    assert registered.flags == AccountFlag.REGISTERED | AccountFlag.LINKED | AccountFlag.FROZEN
    assert world.account(ALICE).flags == registered.flags
    assert (read_use(world, order, ALICE), restriction(world, ALICE)) == (
        OrderUse(0, True),
        Restriction(0, 1),
    )

    assert world.refusal(ALICE.address, abi.encode_transfer(CAROL.address, 1))[0] == "PayerFrozen"
    assert world.refusal(BOB.address, abi.encode_transfer(ALICE.address, 1))[0] == "PayeeFrozen"
    assert world.skips(world.sign(ALICE, CAROL, 1), world.sign(BOB, ALICE, 1)) == {
        0: SkipReason.PayerFrozen,
        1: SkipReason.PayeeFrozen,
    }
    assert world.balance(ALICE) == 60_000


def test_an_unfrozen_account_pays_again(world: World, order: bytes) -> None:
    before = world.account(ALICE)
    freeze(world, order, ALICE)
    unfrozen, registered = unfreeze(world, order, ALICE)
    assert isinstance(unfrozen, AccountUnfrozen)
    assert (unfrozen.order, unfrozen.account) == (order, ALICE.address)
    assert isinstance(registered, AccountRegistered)
    assert registered.flags == before.flags
    assert world.account(ALICE) == before
    world.transfer(ALICE, CAROL, 1)


def test_a_freeze_is_neither_begun_nor_ended_twice(world: World, order: bytes) -> None:
    arguments = {"order": order, "account": ALICE.address}
    end = orders.encode_unfreeze(order, ALICE.address)
    assert world.refusal(COURT, end) == ("NotFrozenUnderOrder", arguments)
    freeze(world, order, ALICE)
    assert world.refusal(COURT, orders.encode_freeze(order, ALICE.address)) == ("FrozenUnderOrder", arguments)
    unfreeze(world, order, ALICE)
    assert world.refusal(COURT, end) == ("NotFrozenUnderOrder", arguments)


def test_an_account_stays_frozen_while_any_order_freezes_it(world: World, order: bytes) -> None:
    second = world.register_order("second", authority=TAX_OFFICE)
    freeze(world, order, ALICE)
    # Its flags do not change by the second freeze nor by the first end, so nothing is told of them.
    assert [type(event) for event in freeze(world, second, ALICE, TAX_OFFICE)] == [AccountFrozen]
    assert restriction(world, ALICE) == Restriction(0, 2)
    assert [type(event) for event in unfreeze(world, order, ALICE)] == [AccountUnfrozen]
    assert world.account(ALICE).has(AccountFlag.FROZEN)
    assert world.refusal(ALICE.address, abi.encode_transfer(CAROL.address, 1))[0] == "PayerFrozen"
    end = orders.encode_unfreeze(order, ALICE.address)
    assert world.refusal(COURT, end)[0] == "NotFrozenUnderOrder"
    unfreeze(world, second, ALICE, TAX_OFFICE)
    world.transfer(ALICE, CAROL, 1)


def test_one_order_freezes_several_accounts(world: World, order: bytes) -> None:
    freeze(world, order, ALICE)
    freeze(world, order, CAROL)
    unfreeze(world, order, ALICE)
    assert not world.account(ALICE).has(AccountFlag.FROZEN)
    assert world.account(CAROL).has(AccountFlag.FROZEN)
    assert read_order(world, order).used_minor == 0


def test_a_bank_does_not_unfreeze_by_registering_again(world: World, order: bytes) -> None:
    freeze(world, order, ALICE)
    hold(world, order, ALICE, 5)
    world.register(BANK_A, [ALICE], RETAIL_TIER, flags=0)
    flags = AccountFlag.REGISTERED | AccountFlag.FROZEN | AccountFlag.HAS_HOLD
    assert world.account(ALICE).flags == flags
    assert restriction(world, ALICE) == Restriction(5, 1)


@pytest.mark.parametrize(
    "data",
    [
        abi.encode_mint(1),
        abi.encode_burn(1),
        abi.encode_register([], 1, 0),
        abi.encode_settle(bytes(93), 2**40),
    ],
)
def test_a_frozen_institution_does_nothing(world: World, order: bytes, data: bytes) -> None:
    freeze(world, order, BANK_A)
    assert world.refusal(BANK_A.address, data) == ("ParticipantFrozen", {"participant": 1})


# Holding


def test_a_hold_is_told_and_read(world: World, order: bytes) -> None:
    held, registered = hold(world, order, ALICE, 300)
    assert isinstance(held, FundsHeldUnderOrder)
    assert (held.order, held.account, held.amount_minor) == (order, ALICE.address, 300)
    assert isinstance(registered, AccountRegistered)
    assert registered.flags == AccountFlag.REGISTERED | AccountFlag.LINKED | AccountFlag.HAS_HOLD
    assert world.account(ALICE).flags == registered.flags
    # More under the same order: the flags are as they were.
    assert [type(event) for event in hold(world, order, ALICE, 200)] == [FundsHeldUnderOrder]
    assert read_use(world, order, ALICE) == OrderUse(500, False)
    assert restriction(world, ALICE) == Restriction(500, 0)
    assert read_order(world, order).used_minor == 500
    assert world.balance(ALICE) == 60_000


def test_a_release_is_told_and_the_last_one_ends_it(world: World, order: bytes) -> None:
    before = world.account(ALICE)
    hold(world, order, ALICE, 300)
    (released,) = release(world, order, ALICE, 299)
    assert isinstance(released, FundsReleased)
    assert (released.order, released.account, released.amount_minor) == (order, ALICE.address, 299)
    assert world.account(ALICE).has(AccountFlag.HAS_HOLD)
    _, registered = release(world, order, ALICE, 1)
    assert isinstance(registered, AccountRegistered)
    assert registered.flags == before.flags
    assert world.account(ALICE) == before
    assert (restriction(world, ALICE), read_order(world, order).used_minor) == (Restriction(0, 0), 0)


def test_what_is_not_held_cannot_be_released(world: World, order: bytes) -> None:
    other = world.register_order("other")
    hold(world, order, ALICE, 300)
    hold(world, other, ALICE, 300)
    hold(world, order, BOB, 300)
    assert world.refusal(COURT, orders.encode_release(order, ALICE.address, 301)) == (
        "HoldExceeded",
        {"order": order, "account": ALICE.address, "held": 300, "amount": 301},
    )
    assert world.refusal(COURT, orders.encode_release(order, CAROL.address, 1))[0] == "HoldExceeded"


def test_nothing_is_neither_held_nor_released_nor_moved(world: World, order: bytes) -> None:
    hold(world, order, ALICE, 1)
    for data in (
        orders.encode_hold(order, ALICE.address, 0),
        orders.encode_release(order, ALICE.address, 0),
        orders.encode_force_transfer(order, ALICE.address, CAROL.address, 0),
    ):
        assert world.refusal(COURT, data) == ("ZeroAmount", {})


def test_the_cap_binds_to_the_unit_over_all_accounts(world: World, order: bytes) -> None:
    hold(world, order, ALICE, CAP - 100)
    force(world, order, BOB, CAROL, 40)
    for data in (
        orders.encode_hold(order, CAROL.address, 61),
        orders.encode_force_transfer(order, BOB.address, CAROL.address, 61),
    ):
        assert world.refusal(COURT, data) == ("OrderCapExceeded", {"order": order, "left": 60, "amount": 61})
    hold(world, order, CAROL, 60)
    assert world.refusal(COURT, orders.encode_hold(order, BOB.address, 1))[0] == "OrderCapExceeded"
    assert read_order(world, order).used_minor == CAP


def test_a_cap_of_nothing_freezes_and_holds_nothing(world: World) -> None:
    order = world.register_order(cap=0)
    freeze(world, order, ALICE)
    assert world.refusal(COURT, orders.encode_hold(order, ALICE.address, 1))[0] == "OrderCapExceeded"


def test_what_is_released_can_be_held_again_and_what_was_moved_cannot(world: World, order: bytes) -> None:
    hold(world, order, ALICE, CAP)
    force(world, order, ALICE, CAROL, 300)
    release(world, order, ALICE, 700)
    assert read_order(world, order).used_minor == 300
    assert world.refusal(COURT, orders.encode_hold(order, BOB.address, 701)) == (
        "OrderCapExceeded",
        {"order": order, "left": 700, "amount": 701},
    )
    hold(world, order, BOB, 700)


def test_no_order_releases_what_another_holds(world: World, order: bytes) -> None:
    second = world.register_order("second", cap=CAP)
    third = world.register_order("third", authority=TAX_OFFICE, cap=CAP)
    for each, amount, authority in ((order, 100, COURT), (second, 200, COURT), (third, 400, TAX_OFFICE)):
        hold(world, each, ALICE, amount, authority)
    assert restriction(world, ALICE).held_minor == 700
    release(world, second, ALICE, 200)
    assert world.refusal(COURT, orders.encode_release(second, ALICE.address, 1))[0] == "HoldExceeded"
    assert world.refusal(COURT, orders.encode_release(third, ALICE.address, 1))[0] == "NotTheAuthority"
    force(world, order, ALICE, CAROL, 100)
    assert restriction(world, ALICE) == Restriction(400, 0)
    assert world.account(ALICE).has(AccountFlag.HAS_HOLD)
    assert [read_use(world, each, ALICE).held_minor for each in (order, second, third)] == [0, 0, 400]


def test_a_hold_above_the_balance_takes_what_comes_in(world: World) -> None:
    order = world.register_order()
    hold(world, order, ALICE, 60_500)
    assert world.refusal(ALICE.address, abi.encode_transfer(CAROL.address, 1)) == (
        "FundsHeld",
        {"payer": ALICE.address, "available": 0, "amount": 1},
    )
    world.transfer(BOB, ALICE, 500)
    assert world.refusal(ALICE.address, abi.encode_transfer(CAROL.address, 1))[0] == "FundsHeld"
    world.transfer(BOB, ALICE, 2)
    assert world.refusal(ALICE.address, abi.encode_transfer(CAROL.address, 3)) == (
        "FundsHeld",
        {"payer": ALICE.address, "available": 2, "amount": 3},
    )
    world.transfer(ALICE, CAROL, 2)


def test_held_funds_refuse_payments_on_both_paths_and_by_a_spender(world: World) -> None:
    order = world.register_order()
    hold(world, order, ALICE, 59_000)
    world.do(ALICE.address, abi.encode_approve(BOB.address, 60_000))
    single = abi.encode_transfer(CAROL.address, 1_001)
    assert world.refusal(ALICE.address, single)[0] == "FundsHeld"
    by_another = abi.encode_transfer_from(ALICE.address, CAROL.address, 1_001)
    assert world.refusal(BOB.address, by_another)[0] == "FundsHeld"
    records = [
        world.sign(ALICE, CAROL, amount, nonce=nonce) for nonce, amount in enumerate((1_001, 600, 401))
    ]
    assert world.skips(*records) == {0: SkipReason.FundsHeld, 2: SkipReason.FundsHeld}
    world.transfer(ALICE, CAROL, 400)
    assert (world.balance(ALICE), world.account(ALICE).nonce) == (59_000, 3)


def test_held_funds_are_not_burned(world: World) -> None:
    order = world.register_order(cap=SUPPLY)
    balance = world.balance(BANK_A)
    hold(world, order, BANK_A, balance - 10)
    assert world.refusal(BANK_A.address, abi.encode_burn(11)) == (
        "FundsHeld",
        {"payer": BANK_A.address, "available": 10, "amount": 11},
    )
    world.do(BANK_A.address, abi.encode_burn(10))


def test_who_has_a_hold_is_paid_as_ever(world: World, order: bytes) -> None:
    hold(world, order, CAROL, CAP)
    world.transfer(ALICE, CAROL, 10)
    assert world.skips(world.sign(ALICE, CAROL, 10)) == {}
    assert world.balance(CAROL) == 20


def test_holds_of_all_orders_fit_their_96_bits_or_are_refused(world: World) -> None:
    first, second = (world.register_order(name, cap=2**96 - 1) for name in ("first", "second"))
    hold(world, first, ALICE, 2**96 - 1)
    overflow = world.refusal(COURT, orders.encode_hold(second, ALICE.address, 1))
    assert overflow == ("Panic", {"panicCode": 0x11})


# Forced transfers


def test_a_forced_transfer_is_told_with_its_order(world: World, order: bytes) -> None:
    supply = world.supply()
    transfer, forced = force(world, order, ALICE, CAROL, 250)
    assert isinstance(transfer, Transfer)
    assert (transfer.payer, transfer.payee, transfer.amount_minor) == (ALICE.address, CAROL.address, 250)
    assert isinstance(forced, TransferForced)
    assert (forced.order, forced.payer, forced.payee, forced.amount_minor) == (
        order,
        ALICE.address,
        CAROL.address,
        250,
    )
    assert (world.balance(ALICE), world.balance(CAROL), world.supply()) == (59_750, 250, supply)
    assert read_order(world, order).used_minor == 250


def test_it_takes_from_its_own_hold_first(world: World, order: bytes) -> None:
    hold(world, order, ALICE, 300)
    assert [type(event) for event in force(world, order, ALICE, CAROL, 100)] == [Transfer, TransferForced]
    assert (read_use(world, order, ALICE).held_minor, read_order(world, order).used_minor) == (200, 300)
    events = force(world, order, ALICE, CAROL, 500)
    assert [type(event) for event in events] == [Transfer, TransferForced, AccountRegistered]
    registered = events[-1]
    assert isinstance(registered, AccountRegistered)
    assert registered.flags == AccountFlag.REGISTERED | AccountFlag.LINKED
    assert restriction(world, ALICE) == Restriction(0, 0)
    assert read_order(world, order).used_minor == 600
    assert (world.balance(ALICE), world.balance(CAROL)) == (59_400, 600)


def test_beyond_its_hold_the_cap_binds(world: World, order: bytes) -> None:
    hold(world, order, ALICE, CAP)
    too_much = orders.encode_force_transfer(order, ALICE.address, CAROL.address, CAP + 1)
    assert world.refusal(COURT, too_much) == ("OrderCapExceeded", {"order": order, "left": 0, "amount": 1})
    force(world, order, ALICE, CAROL, CAP)
    assert read_order(world, order).used_minor == CAP


def test_it_does_not_take_what_another_order_holds(world: World, order: bytes) -> None:
    other = world.register_order("other", authority=TAX_OFFICE)
    hold(world, other, ALICE, 59_500, TAX_OFFICE)
    hold(world, order, ALICE, 200)
    too_much = orders.encode_force_transfer(order, ALICE.address, CAROL.address, 501)
    assert world.refusal(COURT, too_much) == (
        "InsufficientBalance",
        {"payer": ALICE.address, "balance": 500, "amount": 501},
    )
    force(world, order, ALICE, CAROL, 500)
    assert restriction(world, ALICE) == Restriction(59_500, 0)
    assert world.balance(ALICE) == 59_500
    force(world, other, ALICE, CAROL, 59_500, TAX_OFFICE)
    assert world.balance(ALICE) == 0


def test_it_moves_no_more_than_there_is(world: World) -> None:
    order = world.register_order()
    hold(world, order, ALICE, 70_000)
    too_much = orders.encode_force_transfer(order, ALICE.address, CAROL.address, 60_001)
    assert world.refusal(COURT, too_much) == (
        "InsufficientBalance",
        {"payer": ALICE.address, "balance": 60_000, "amount": 60_001},
    )
    force(world, order, ALICE, CAROL, 60_000)
    assert restriction(world, ALICE).held_minor == 10_000


def test_its_payer_and_payee_differ_and_have_accounts(world: World, order: bytes) -> None:
    oneself = orders.encode_force_transfer(order, ALICE.address, ALICE.address, 1)
    assert world.refusal(COURT, oneself) == ("SelfPayment", {"account": ALICE.address})
    nowhere = orders.encode_force_transfer(order, ALICE.address, STRANGER.address, 1)
    assert world.refusal(COURT, nowhere) == ("AccountNotRegistered", {"account": STRANGER.address})


def test_limits_do_not_matter_to_it_and_nothing_waterfalls(world: World) -> None:
    order = world.register_order()
    before = world.account(ALICE)
    world.set_tier(RETAIL_TIER, RETAIL_HOLDING, 1, 1)
    assert [type(event) for event in force(world, order, ALICE, MERCHANT, 60_000)] == [
        Transfer,
        TransferForced,
    ]
    assert world.balance(MERCHANT) == 60_000
    assert world.account(ALICE) == before._replace(balance=0)
    force(world, order, MERCHANT, UNLINKED, 60_000)
    assert world.balance(UNLINKED) == 60_000


def test_freezes_and_suspension_of_both_sides_do_not_matter_to_it(world: World) -> None:
    order = world.register_order()
    freeze(world, order, ALICE)
    freeze(world, order, CAROL)
    world.do(SUPERVISOR, encode_suspend_participant(1))
    force(world, order, ALICE, CAROL, 100)
    force(world, order, CAROL, BANK_A, 60)
    force(world, order, BANK_A, BOB, 10)
    assert (world.balance(ALICE), world.balance(CAROL), world.balance(BOB)) == (59_900, 40, 60_010)
    assert world.account(ALICE).has(AccountFlag.FROZEN)
    world.do(SUPERVISOR, encode_reinstate_participant(1))


def test_a_pause_stops_it_and_leaves_freezes_and_holds(world: World, order: bytes) -> None:
    world.pause()
    assert world.refusal(COURT, USES["forceTransfer"](order))[0] == "CurrencyPaused"
    freeze(world, order, ALICE)
    hold(world, order, ALICE, 5)
    release(world, order, ALICE, 5)
    unfreeze(world, order, ALICE)


def test_a_refused_use_costs_nothing_of_the_cap(world: World, order: bytes) -> None:
    for _ in range(2):
        with pytest.raises(Refused, match="InsufficientBalance"):
            force(world, order, CAROL, ALICE, CAP)
    hold(world, order, CAROL, CAP)
    assert read_order(world, order).used_minor == CAP
