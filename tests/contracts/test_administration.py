"""Tiers, participants, issuance, registration and pause: what they store, tell and refuse."""

from collections.abc import Callable

import pytest

from contracts import abi, orders
from contracts.abi import (
    AccountFlag,
    AccountRegistered,
    MintAllowanceChanged,
    ParticipantSet,
    PauseChanged,
    TierSet,
    Transfer,
)
from contracts.batch import pack
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    COURT,
    GOVERNOR,
    ISSUER,
    MERCHANT_TIER,
    PAUSER,
    RETAIL_TIER,
    STRANGER,
    SUPPLY,
    Person,
    Refused,
    World,
)

REGISTERED = AccountFlag.REGISTERED
LINKED = AccountFlag.LINKED
INSTITUTION = AccountFlag.INSTITUTION


def refusal_of(world: World, sender: bytes, data: bytes) -> tuple[str, dict[str, object]]:
    """The code and arguments of a refusal, after which nothing has changed."""
    before = world.fingerprint()
    with pytest.raises(Refused) as refusal:
        world.do(sender, data)
    assert world.fingerprint() == before
    return refusal.value.code, refusal.value.arguments


# Tiers


def test_a_tier_is_stored_and_told(world: World) -> None:
    (event,) = world.set_tier(255, 2**96 - 1, 2**64 - 1, 2**64 - 2)
    assert isinstance(event, TierSet)
    told = (event.tier, event.holding_limit_minor, event.per_payment_limit_minor, event.daily_limit_minor)
    assert told == (255, 2**96 - 1, 2**64 - 1, 2**64 - 2)
    read = world.read(abi.encode_tier(255))
    assert [abi.decode_uint(read[at : at + 32]) for at in (0, 32, 64)] == list(told[1:])


def test_a_per_payment_limit_above_the_holding_limit_is_refused(world: World) -> None:
    assert refusal_of(world, GOVERNOR, abi.encode_set_tier(3, 100, 101, 5)) == (
        "PerPaymentAboveHoldingLimit",
        {"perPaymentLimit": 101, "holdingLimit": 100},
    )
    world.do(GOVERNOR, abi.encode_set_tier(3, 100, 100, 5))


@pytest.mark.parametrize("limits", [(2**96, 1, 1), (2**64, 2**64, 1), (1, 1, 2**64)])
def test_limits_that_do_not_fit_are_refused(world: World, limits: tuple[int, int, int]) -> None:
    assert refusal_of(world, GOVERNOR, abi.encode_set_tier(3, *limits))[0] == "EmptyRevert"


def test_lowering_a_tier_moves_no_money(world: World) -> None:
    world.set_tier(RETAIL_TIER, 10)
    assert world.balance(ALICE) == 60_000


# Participants


def test_a_new_participant_gets_a_registered_institution(world: World) -> None:
    world.set_tier(7, 10)
    events = world.do(GOVERNOR, abi.encode_set_participant(65_535, STRANGER.address, 7, 0b1000))
    registered, participant = events
    assert isinstance(registered, AccountRegistered)
    assert isinstance(participant, ParticipantSet)
    assert (registered.account, registered.participant, registered.tier, registered.flags) == (
        STRANGER.address,
        65_535,
        7,
        REGISTERED | INSTITUTION,
    )
    assert (participant.participant, participant.institution, participant.tier, participant.tier_mask) == (
        65_535,
        STRANGER.address,
        7,
        0b1000,
    )
    read = world.read(abi.encode_participant(65_535))
    assert (read[12:32], read[63], read[95]) == (STRANGER.address, 7, 0b1000)


def test_replacing_an_institution_keeps_its_money_and_ends_its_powers(world: World) -> None:
    events = world.do(GOVERNOR, abi.encode_set_participant(1, STRANGER.address, 0, 0b110))
    retired = events[0]
    assert isinstance(retired, AccountRegistered)
    assert (retired.account, retired.flags) == (BANK_A.address, REGISTERED)
    assert world.balance(BANK_A) == SUPPLY - 120_000
    assert refusal_of(world, BANK_A.address, abi.encode_mint(1))[0] == "NotAParticipant"
    world.do(STRANGER.address, abi.encode_mint(1))
    world.transfer(BANK_A, STRANGER, SUPPLY - 120_000)


def test_a_customer_may_become_its_own_banks_institution(world: World) -> None:
    world.do(GOVERNOR, abi.encode_set_participant(1, ALICE.address, 0, 0b110))
    assert world.account(ALICE).flags == REGISTERED | LINKED | INSTITUTION
    assert world.balance(ALICE) == 60_000


@pytest.mark.parametrize(
    "restrict", [orders.encode_freeze, lambda order, who: orders.encode_hold(order, who, 1)]
)
def test_an_institution_that_an_order_freezes_or_holds_is_not_replaced(
    world: World, restrict: Callable[[bytes, bytes], bytes]
) -> None:
    world.do(COURT, restrict(world.register_order(), BANK_A.address))
    data = abi.encode_set_participant(1, STRANGER.address, 0, 0b110)
    assert refusal_of(world, GOVERNOR, data) == ("AccountNotChangeable", {"account": BANK_A.address})
    world.do(GOVERNOR, abi.encode_set_participant(1, BANK_A.address, 0, 0b10))


def test_a_participant_has_a_tier_that_was_set(world: World) -> None:
    for institution in (STRANGER.address, BANK_A.address):
        data = abi.encode_set_participant(1, institution, 77, 0)
        assert refusal_of(world, GOVERNOR, data) == ("TierNotSet", {"tier": 77})
    world.set_tier(77, 0, 0)
    world.do(GOVERNOR, abi.encode_set_participant(1, BANK_A.address, 77, 0))


def test_no_tier_that_a_participant_can_have_escapes_a_pause(world: World) -> None:
    record = world.sign(ALICE, BOB, 5)
    world.do(PAUSER, abi.encode_pause())
    world.set_tier(200, 10)
    world.do(GOVERNOR, abi.encode_set_participant(1, BANK_A.address, 200, 0))
    data = abi.encode_settle(pack([record]), world.valid_before_s)
    assert refusal_of(world, BANK_A.address, data)[0] == "CurrencyPaused"


def test_changing_a_participant_in_place_keeps_its_balance_and_nonce(world: World) -> None:
    world.set_tier(9, 10)
    world.settle(world.sign(BANK_A, ALICE, 5))
    before = world.account(BANK_A)
    world.do(GOVERNOR, abi.encode_set_participant(1, BANK_A.address, 9, 0b1))
    assert world.account(BANK_A) == before._replace(tier=9)


@pytest.mark.parametrize(
    ("number", "institution", "code"),
    [
        (0, STRANGER.address, "UnknownParticipant"),
        (3, bytes(20), "ZeroAddress"),
        (3, ALICE.address, "AccountOfAnotherParticipant"),
        (3, BANK_A.address, "AccountOfAnotherParticipant"),
        (1, BANK_B.address, "AccountOfAnotherParticipant"),
    ],
)
def test_what_may_not_be_a_participant(world: World, number: int, institution: bytes, code: str) -> None:
    assert refusal_of(world, GOVERNOR, abi.encode_set_participant(number, institution, 0, 0))[0] == code


@pytest.mark.parametrize("flag", [AccountFlag.SYSTEM, AccountFlag.CLOSED])
def test_a_closed_or_system_account_cannot_be_an_institution(world: World, flag: AccountFlag) -> None:
    world.mark(ALICE, flag)
    data = abi.encode_set_participant(1, ALICE.address, 0, 0)
    assert refusal_of(world, GOVERNOR, data) == ("AccountNotChangeable", {"account": ALICE.address})


# Issuance


def test_an_allowance_is_raised_taken_back_and_declines_as_it_mints(world: World) -> None:
    told = []
    for sender, data in (
        (ISSUER, abi.encode_increase_mint_allowance(1, 500)),
        (ISSUER, abi.encode_decrease_mint_allowance(1, 200)),
        (BANK_A.address, abi.encode_mint(100)),
    ):
        event = world.do(sender, data)[0]
        assert isinstance(event, MintAllowanceChanged)
        assert event.participant == 1
        told.append(event.allowance_minor - event.previous_allowance_minor)
    assert told == [500, -200, -100]
    assert abi.decode_uint(world.read(abi.encode_mint_allowance(1))) == SUPPLY + 200


def test_minting_exactly_the_allowance_and_one_more(world: World) -> None:
    assert refusal_of(world, BANK_A.address, abi.encode_mint(SUPPLY + 1)) == (
        "MintAllowanceExceeded",
        {"participant": 1, "allowance": SUPPLY, "amount": SUPPLY + 1},
    )
    events = world.do(BANK_A.address, abi.encode_mint(SUPPLY))
    transfer = events[1]
    assert isinstance(transfer, Transfer)
    assert (transfer.payer, transfer.payee, transfer.amount_minor) == (bytes(20), BANK_A.address, SUPPLY)
    assert world.supply() == 3 * SUPPLY
    assert refusal_of(world, BANK_A.address, abi.encode_mint(1))[0] == "MintAllowanceExceeded"


def test_taking_back_more_than_is_left_is_refused(world: World) -> None:
    code, arguments = refusal_of(world, ISSUER, abi.encode_decrease_mint_allowance(1, SUPPLY + 1))
    assert (code, arguments["allowance"]) == ("MintAllowanceExceeded", SUPPLY)


def test_a_whole_allowance_can_be_taken_back(world: World) -> None:
    (told,) = world.do(ISSUER, abi.encode_decrease_mint_allowance(1, SUPPLY))
    assert isinstance(told, MintAllowanceChanged)
    assert (told.previous_allowance_minor, told.allowance_minor) == (SUPPLY, 0)
    assert refusal_of(world, BANK_A.address, abi.encode_mint(1))[0] == "MintAllowanceExceeded"


def test_an_unknown_participant_gets_no_allowance(world: World) -> None:
    assert refusal_of(world, ISSUER, abi.encode_increase_mint_allowance(3, 1)) == (
        "UnknownParticipant",
        {"participant": 3},
    )


def test_an_allowance_cannot_overflow(world: World) -> None:
    data = abi.encode_increase_mint_allowance(1, 2**256 - 1)
    assert refusal_of(world, ISSUER, data) == ("Panic", {"panicCode": 0x11})


def test_the_supply_fits_96_bits(world: World) -> None:
    world.do(ISSUER, abi.encode_increase_mint_allowance(1, 2**96))
    room = 2**96 - 1 - 2 * SUPPLY
    assert refusal_of(world, BANK_A.address, abi.encode_mint(room + 1))[0] == "SupplyLimitExceeded"
    world.do(BANK_A.address, abi.encode_mint(room))
    assert world.supply() == 2**96 - 1
    assert world.account(BANK_A).nonce == 0


def test_minting_is_bound_by_the_institutions_holding_limit(world: World) -> None:
    world.set_tier(0, SUPPLY, 1, 1)
    world.set_account(BANK_A, balance=SUPPLY - 10)
    assert refusal_of(world, BANK_A.address, abi.encode_mint(11)) == (
        "HoldingLimitExceeded",
        {"payee": BANK_A.address, "excess": 1, "limit": SUPPLY},
    )
    world.do(BANK_A.address, abi.encode_mint(10))


def test_burning_lowers_balance_and_supply_and_restores_no_allowance(world: World) -> None:
    (event,) = world.do(BANK_B.address, abi.encode_burn(SUPPLY))
    assert isinstance(event, Transfer)
    assert (event.payer, event.payee, event.amount_minor) == (BANK_B.address, bytes(20), SUPPLY)
    assert world.balance(BANK_B) == 0
    assert world.supply() == SUPPLY
    assert abi.decode_uint(world.read(abi.encode_mint_allowance(2))) == SUPPLY


def test_burning_more_than_is_held_is_refused(world: World) -> None:
    code, arguments = refusal_of(world, BANK_B.address, abi.encode_burn(SUPPLY + 1))
    assert (code, arguments["balance"]) == ("InsufficientBalance", SUPPLY)


@pytest.mark.parametrize("data", [abi.encode_mint(0), abi.encode_burn(0)])
def test_minting_or_burning_nothing_is_refused(world: World, data: bytes) -> None:
    assert refusal_of(world, BANK_A.address, data)[0] == "ZeroAmount"


@pytest.mark.parametrize("data", [abi.encode_mint(1), abi.encode_burn(1), abi.encode_register([], 1, 0)])
def test_a_frozen_institution_does_nothing(world: World, data: bytes) -> None:
    world.mark(BANK_A, AccountFlag.FROZEN)
    assert refusal_of(world, BANK_A.address, data)[0] == "ParticipantFrozen"


def test_neither_minting_nor_burning_is_spending(world: World) -> None:
    before = world.account(BANK_B)
    world.do(BANK_B.address, abi.encode_mint(3))
    world.do(BANK_B.address, abi.encode_burn(3))
    assert world.account(BANK_B) == before


# Registration


def test_registration_tells_and_stores_each_account(world: World) -> None:
    people = [Person.named(f"new {index}") for index in range(3)]
    events = world.register(BANK_A, people, MERCHANT_TIER)
    assert [event.account for event in events if isinstance(event, AccountRegistered)] == [
        each.address for each in people
    ]
    account = world.account(people[2])
    assert (account.participant, account.tier, account.flags) == (1, MERCHANT_TIER, REGISTERED | LINKED)
    assert world.account(people[0])[:4] == (0, 0, 0, 0)


def test_registering_again_changes_tier_and_link_and_nothing_else(world: World) -> None:
    world.settle(world.sign(ALICE, CAROL, 10))
    before = world.account(ALICE)
    world.register(BANK_A, [ALICE], MERCHANT_TIER, flags=0)
    assert world.account(ALICE) == before._replace(tier=MERCHANT_TIER, flags=REGISTERED)
    world.register(BANK_A, [ALICE], RETAIL_TIER, flags=LINKED)
    assert world.account(ALICE) == before


def test_registering_a_frozen_account_keeps_it_frozen(world: World) -> None:
    world.mark(ALICE, AccountFlag.FROZEN)
    world.register(BANK_A, [ALICE], MERCHANT_TIER, flags=0)
    assert world.account(ALICE).flags == REGISTERED | AccountFlag.FROZEN


@pytest.mark.parametrize("tier", [0, 3, 255])
def test_a_tier_outside_of_the_mask_is_refused(world: World, tier: int) -> None:
    data = abi.encode_register([STRANGER.address], tier, 0)
    assert refusal_of(world, BANK_A.address, data) == ("TierNotGranted", {"participant": 1, "tier": tier})


def test_the_highest_tier_can_be_granted(world: World) -> None:
    world.do(GOVERNOR, abi.encode_set_participant(1, BANK_A.address, 0, 1 << 255))
    world.do(BANK_A.address, abi.encode_register([STRANGER.address], 255, 0))
    assert world.account(STRANGER).tier == 255


@pytest.mark.parametrize("flag", [flag for flag in AccountFlag if flag is not LINKED] + [1 << 7, 1 << 23])
def test_no_flag_but_linked_is_granted(world: World, flag: int) -> None:
    data = abi.encode_register([STRANGER.address], RETAIL_TIER, flag | LINKED)
    assert refusal_of(world, BANK_A.address, data) == ("FlagsNotGranted", {"flags": flag | LINKED})


def test_an_account_of_another_bank_is_refused(world: World) -> None:
    data = abi.encode_register([CAROL.address], RETAIL_TIER, 0)
    assert refusal_of(world, BANK_A.address, data) == (
        "AccountOfAnotherParticipant",
        {"account": CAROL.address, "participant": 2},
    )


def test_an_institution_a_closed_or_a_system_account_is_refused(world: World) -> None:
    world.mark(ALICE, AccountFlag.CLOSED)
    world.mark(BOB, AccountFlag.SYSTEM)
    for person in (BANK_A, ALICE, BOB):
        data = abi.encode_register([person.address], RETAIL_TIER, 0)
        assert refusal_of(world, BANK_A.address, data) == (
            "AccountNotChangeable",
            {"account": person.address},
        )


def test_one_account_that_may_not_reverts_all(world: World) -> None:
    for last in (bytes(20), CAROL.address):
        refusal_of(world, BANK_A.address, abi.encode_register([STRANGER.address, last], RETAIL_TIER, 0))
    assert world.word(STRANGER) == 0


# Pause


def test_pausing_stops_money_and_not_registration(world: World) -> None:
    (event,) = world.do(PAUSER, abi.encode_pause())
    assert isinstance(event, PauseChanged)
    assert (event.is_paused, event.by) == (True, PAUSER)
    assert abi.decode_uint(world.read(abi.encode_paused())) == 1
    world.register(BANK_A, [STRANGER], RETAIL_TIER)
    world.set_tier(3, 1)
    (event,) = world.do(PAUSER, abi.encode_unpause())
    assert isinstance(event, PauseChanged)
    assert (event.is_paused, event.by) == (False, PAUSER)


def test_pausing_or_unpausing_twice_is_refused(world: World) -> None:
    assert refusal_of(world, PAUSER, abi.encode_unpause())[0] == "NotPaused"
    world.do(PAUSER, abi.encode_pause())
    assert refusal_of(world, PAUSER, abi.encode_pause())[0] == "CurrencyPaused"
