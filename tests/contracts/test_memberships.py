"""Who belongs where: suspension, the system's accounts, moves to another bank; and the history of tiers."""

from collections.abc import Callable

import pytest

from contracts import abi, memberships, orders
from contracts.abi import (
    AccountFlag,
    AccountMoved,
    AccountRegistered,
    ParticipantStandingChanged,
    TierVersion,
    Transfer,
)
from contracts.authorizations import (
    ReceiveWithAuthorization,
    TransferWithAuthorization,
    encode_receive_with_authorization,
    encode_transfer_with_authorization,
)
from contracts.batch import SkipReason
from contracts.memberships import AccountMove
from contracts.typed_data import PaymentDomain
from tests.contracts.erc1271 import Wallet
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    COURT,
    GOVERNOR,
    MERCHANT,
    MERCHANT_HOLDING,
    MERCHANT_TIER,
    NAME,
    NO_LIMIT,
    PAUSER,
    REGISTRAR,
    RETAIL_DAILY,
    RETAIL_HOLDING,
    RETAIL_PER_PAYMENT,
    RETAIL_TIER,
    STRANGER,
    SUPERVISOR,
    UNLINKED,
    Person,
    Refused,
    World,
    sign_digest,
)

REGISTERED, LINKED, SYSTEM, SUSPENDED = (
    AccountFlag.REGISTERED,
    AccountFlag.LINKED,
    AccountFlag.SYSTEM,
    AccountFlag.SUSPENDED,
)
SETTLEMENT = Person.named("settlement")
SYSTEM_TIER = 5


def suspend(world: World, participant: int = 1) -> list[abi.Event]:
    return world.do(SUPERVISOR, memberships.encode_suspend_participant(participant))


def reinstate(world: World, participant: int = 1) -> list[abi.Event]:
    return world.do(SUPERVISOR, memberships.encode_reinstate_participant(participant))


# Suspension


def test_a_suspension_is_told_and_read_and_ended(world: World) -> None:
    before = world.account(BANK_A)
    registered, standing = suspend(world)
    assert isinstance(registered, AccountRegistered)
    assert (registered.account, registered.flags) == (BANK_A.address, before.flags | SUSPENDED)
    assert isinstance(standing, ParticipantStandingChanged)
    assert (standing.participant, standing.is_suspended) == (1, True)
    assert world.account(BANK_A) == before._replace(flags=before.flags | SUSPENDED)
    registered, standing = reinstate(world)
    assert isinstance(registered, AccountRegistered)
    assert registered.flags == before.flags
    assert isinstance(standing, ParticipantStandingChanged)
    assert (standing.participant, standing.is_suspended) == (1, False)
    assert world.account(BANK_A) == before
    world.do(BANK_A.address, abi.encode_mint(1))


def test_suspending_twice_reinstating_twice_and_unknown_participants_are_refused(world: World) -> None:
    suspend_data = memberships.encode_suspend_participant(1)
    reinstate_data = memberships.encode_reinstate_participant(1)
    assert world.refusal(SUPERVISOR, reinstate_data) == ("ParticipantNotSuspended", {"participant": 1})
    suspend(world)
    assert world.refusal(SUPERVISOR, suspend_data) == ("ParticipantSuspended", {"participant": 1})
    for unknown in (0, 3, 65_535):
        for data in (
            memberships.encode_suspend_participant(unknown),
            memberships.encode_reinstate_participant(unknown),
        ):
            assert world.refusal(SUPERVISOR, data) == ("UnknownParticipant", {"participant": unknown})


@pytest.mark.parametrize(
    "data",
    [
        abi.encode_mint(1),
        abi.encode_burn(1),
        abi.encode_settle(bytes(93), 2**40),
        abi.encode_register([STRANGER.address], RETAIL_TIER, 0),
        abi.encode_register([ALICE.address], RETAIL_TIER, 0),
        memberships.encode_move_account(AccountMove(CAROL.address, 1, RETAIL_TIER, 0, 0, 2**40), bytes(65)),
    ],
    ids=["mint", "burn", "settle", "register", "change", "move"],
)
def test_a_suspended_institution_does_nothing(world: World, data: bytes) -> None:
    suspend(world)
    assert world.refusal(BANK_A.address, data) == ("ParticipantSuspended", {"participant": 1})


def test_a_suspended_institution_neither_pays_nor_is_paid(world: World) -> None:
    world.do(BANK_A.address, abi.encode_approve(BOB.address, 10))
    suspend(world)
    for sender, data, code in (
        (BANK_A, abi.encode_transfer(ALICE.address, 1), "PayerSuspended"),
        (BANK_A, abi.encode_transfer(BANK_B.address, 1), "PayerSuspended"),
        (BOB, abi.encode_transfer_from(BANK_A.address, ALICE.address, 1), "PayerSuspended"),
        (ALICE, abi.encode_transfer(BANK_A.address, 1), "PayeeSuspended"),
        (BANK_B, abi.encode_transfer(BANK_A.address, 1), "PayeeSuspended"),
    ):
        assert world.refusal(sender.address, data)[0] == code
    world.do(BANK_B.address, abi.encode_transfer(CAROL.address, 100))
    records = [world.sign(CAROL, BANK_A, 1), world.sign(CAROL, ALICE, 1, nonce=1)]
    assert world.skips(*records, sender=BANK_B) == {0: SkipReason.PayeeSuspended}


def test_customers_of_a_suspended_participant_still_pay_and_are_paid_singly(world: World) -> None:
    suspend(world)
    world.transfer(ALICE, BOB, 10)
    world.transfer(ALICE, CAROL, 20)
    world.transfer(BOB, ALICE, 5)
    assert (world.balance(ALICE), world.balance(BOB), world.balance(CAROL)) == (59_975, 60_005, 20)


def test_another_banks_batch_still_pays_them(world: World) -> None:
    suspend(world)
    world.do(BANK_B.address, abi.encode_transfer(CAROL.address, 100))
    assert world.skips(world.sign(CAROL, ALICE, 30), sender=BANK_B) == {}
    assert world.balance(ALICE) == 60_030


def test_nothing_waterfalls_to_a_suspended_institution(world: World) -> None:
    suspend(world, 2)
    data = abi.encode_transfer(MERCHANT.address, MERCHANT_HOLDING + 1)
    assert world.refusal(ALICE.address, data) == (
        "HoldingLimitExceeded",
        {"payee": MERCHANT.address, "excess": 1, "limit": MERCHANT_HOLDING},
    )
    record = world.sign(ALICE, MERCHANT, MERCHANT_HOLDING + 1)
    assert world.skips(record) == {0: SkipReason.HoldingLimitExceeded}
    reinstate(world, 2)
    world.do(ALICE.address, data)
    assert world.balance(MERCHANT) == MERCHANT_HOLDING


def test_a_suspended_institution_cannot_be_replaced(world: World) -> None:
    suspend(world)
    data = abi.encode_set_participant(1, STRANGER.address, 0, 0b110)
    assert world.refusal(GOVERNOR, data) == ("ParticipantSuspended", {"participant": 1})
    reinstate(world)
    world.do(GOVERNOR, data)


def test_changing_a_suspended_participant_in_place_keeps_it_suspended(world: World) -> None:
    suspend(world)
    world.do(GOVERNOR, abi.encode_set_participant(1, BANK_A.address, MERCHANT_TIER, 0))
    assert world.account(BANK_A).has(SUSPENDED)
    assert world.refusal(BANK_A.address, abi.encode_mint(1))[0] == "ParticipantSuspended"


def test_suspending_one_participant_leaves_the_other(world: World) -> None:
    suspend(world, 1)
    world.do(BANK_B.address, abi.encode_mint(5))
    world.register(BANK_B, [STRANGER], RETAIL_TIER)


# The system's accounts


@pytest.fixture
def settlement(world: World) -> Person:
    world.set_tier(SYSTEM_TIER, 1_000_000, 1_000_000)
    world.do(GOVERNOR, memberships.encode_set_system_account(SETTLEMENT.address, SYSTEM_TIER))
    return SETTLEMENT


def fund(world: World, settlement: Person, payer: Person, amount: int) -> None:
    """Let the settlement pull money, as it pulls every payment to it."""
    world.do(payer.address, abi.encode_approve(settlement.address, amount))
    data = abi.encode_transfer_from(payer.address, settlement.address, amount)
    world.do(settlement.address, data)


def test_a_system_account_has_a_tier_that_was_set(world: World) -> None:
    data = memberships.encode_set_system_account(SETTLEMENT.address, SYSTEM_TIER)
    assert world.refusal(GOVERNOR, data) == ("TierNotSet", {"tier": SYSTEM_TIER})
    world.set_tier(SYSTEM_TIER, 0, 0)
    world.do(GOVERNOR, data)


def test_a_system_account_belongs_to_nobody_and_its_tier_can_change(world: World) -> None:
    world.set_tier(SYSTEM_TIER, 10)
    world.set_tier(6, 10)
    (event,) = world.do(GOVERNOR, memberships.encode_set_system_account(SETTLEMENT.address, SYSTEM_TIER))
    assert isinstance(event, AccountRegistered)
    told = (event.account, event.participant, event.tier, event.flags)
    assert told == (SETTLEMENT.address, 0, SYSTEM_TIER, REGISTERED | SYSTEM)
    world.set_account(SETTLEMENT, balance=77)
    world.do(GOVERNOR, memberships.encode_set_system_account(SETTLEMENT.address, 6))
    account = world.account(SETTLEMENT)
    assert (account.balance, account.participant, account.tier) == (77, 0, 6)


@pytest.mark.parametrize("person", [ALICE, BANK_A, UNLINKED])
def test_an_account_of_another_kind_does_not_become_the_systems(world: World, person: Person) -> None:
    data = memberships.encode_set_system_account(person.address, RETAIL_TIER)
    assert world.refusal(GOVERNOR, data) == ("AccountNotChangeable", {"account": person.address})


def test_nobody_is_not_the_system(world: World) -> None:
    data = memberships.encode_set_system_account(bytes(20), SYSTEM_TIER)
    assert world.refusal(GOVERNOR, data) == ("ZeroAddress", {})


def test_a_system_account_does_not_become_anothers(world: World, settlement: Person) -> None:
    move = AccountMove(settlement.address, 1, RETAIL_TIER, 0, 0, world.valid_before_s)
    signature = sign_digest(settlement, move.digest(world.domain.separator))
    for sender, data, code in (
        (BANK_A.address, abi.encode_register([settlement.address], 1, 0), "AccountNotChangeable"),
        (GOVERNOR, abi.encode_set_participant(3, settlement.address, 0, 0), "AccountNotChangeable"),
        (BANK_A.address, memberships.encode_move_account(move, signature), "PayerNotRegistered"),
    ):
        assert world.refusal(sender, data)[0] == code


def test_a_system_account_is_paid_by_its_own_pull_and_by_nothing_else(
    world: World, settlement: Person
) -> None:
    system = settlement.address
    world.do(ALICE.address, abi.encode_approve(BOB.address, 100))
    for sender, data in (
        (ALICE, abi.encode_transfer(system, 1)),
        (BANK_A, abi.encode_transfer(system, 1)),
        (BOB, abi.encode_transfer_from(ALICE.address, system, 1)),
    ):
        assert world.refusal(sender.address, data) == ("PayeeIsSystem", {"payee": system})
    records = [world.sign(ALICE, settlement, 1), world.sign(BANK_A, settlement, 1)]
    reasons = world.skips(*records, world.sign(ALICE, settlement, 1, nonce=1))
    assert reasons == dict.fromkeys(range(3), SkipReason.PayeeIsSystem)
    assert world.balance(settlement) == 0
    fund(world, settlement, ALICE, 40)
    fund(world, settlement, BANK_A, 2)
    assert world.balance(settlement) == 42


def test_a_system_account_is_paid_by_an_authorisation_that_it_submits(
    world: World, settlement: Person
) -> None:
    fields = (ALICE.address, settlement.address, 9, 0, world.valid_before_s)
    receipt = ReceiveWithAuthorization(*fields, bytes(32))
    signature = sign_digest(ALICE, receipt.digest(world.domain.separator))
    world.do(settlement.address, encode_receive_with_authorization(receipt, signature))
    transfer = TransferWithAuthorization(*fields, bytes([1] * 32))
    signature = sign_digest(ALICE, transfer.digest(world.domain.separator))
    data = encode_transfer_with_authorization(transfer, signature)
    assert world.refusal(BOB.address, data) == ("PayeeIsSystem", {"payee": settlement.address})
    assert world.balance(settlement) == 9


def test_what_it_pulls_obeys_the_payers_rules(world: World, settlement: Person) -> None:
    world.do(ALICE.address, abi.encode_approve(settlement.address, 60_000))
    data = abi.encode_transfer_from(ALICE.address, settlement.address, RETAIL_PER_PAYMENT + 1)
    assert world.refusal(settlement.address, data)[0] == "PerPaymentLimitExceeded"
    world.do(COURT, orders.encode_freeze(world.register_order(), ALICE.address))
    data = abi.encode_transfer_from(ALICE.address, settlement.address, 1)
    assert world.refusal(settlement.address, data)[0] == "PayerFrozen"


def test_it_pays_out_by_a_plain_transfer_and_never_waterfalls(world: World, settlement: Person) -> None:
    fund(world, settlement, BANK_A, 100_000)
    (event,) = world.transfer(settlement, BANK_B, 60_000)
    assert isinstance(event, Transfer)
    world.transfer(settlement, MERCHANT, MERCHANT_HOLDING)
    data = abi.encode_transfer(MERCHANT.address, 1)
    assert world.refusal(settlement.address, data)[0] == "HoldingLimitExceeded"
    suspend(world, 2)
    data = abi.encode_transfer(BANK_B.address, 1)
    assert world.refusal(settlement.address, data)[0] == "PayeeSuspended"


def test_a_pull_above_the_systems_limit_is_refused(world: World, settlement: Person) -> None:
    world.set_tier(SYSTEM_TIER, 10)
    world.do(ALICE.address, abi.encode_approve(settlement.address, 11))
    data = abi.encode_transfer_from(ALICE.address, settlement.address, 11)
    assert world.refusal(settlement.address, data) == (
        "HoldingLimitExceeded",
        {"payee": settlement.address, "excess": 1, "limit": 10},
    )


def test_a_system_account_settles_nothing(world: World, settlement: Person) -> None:
    fund(world, settlement, BANK_A, 100)
    record = world.sign(settlement, ALICE, 5)
    assert world.skips(record) == {0: SkipReason.PayerNotOfParticipant}
    data = abi.encode_settle(bytes(93), 2**40)
    assert world.refusal(settlement.address, data)[0] == "NotAParticipant"


# Moving


def move_of(world: World, owner: Person, **changes: int) -> AccountMove:
    """What the owner signs to come to bank A, linked, by its next nonce."""
    fields = {
        "participant": 1,
        "tier": RETAIL_TIER,
        "flags": int(LINKED),
        "nonce": world.account(owner).nonce,
        "valid_before_s": world.valid_before_s,
        **changes,
    }
    return AccountMove(owner.address, **fields)


def sign_move(world: World, signer: Person, move: AccountMove, domain: PaymentDomain | None = None) -> bytes:
    return sign_digest(signer, move.digest((domain or world.domain).separator))


def test_an_owner_takes_an_account_with_its_money_to_another_bank(world: World) -> None:
    world.transfer(ALICE, CAROL, 500)
    world.transfer(CAROL, BOB, 100)
    before = world.account(CAROL)
    move = move_of(world, CAROL, tier=MERCHANT_TIER, flags=0)
    data = memberships.encode_move_account(move, sign_move(world, CAROL, move))
    registered, moved = world.do(BANK_A.address, data)
    assert isinstance(registered, AccountRegistered)
    assert (registered.account, registered.participant, registered.tier, registered.flags) == (
        CAROL.address,
        1,
        MERCHANT_TIER,
        REGISTERED,
    )
    assert isinstance(moved, AccountMoved)
    assert (moved.account, moved.former_participant, moved.participant) == (CAROL.address, 2, 1)
    assert world.account(CAROL) == before._replace(
        participant=1, tier=MERCHANT_TIER, flags=REGISTERED, nonce=1
    )
    # The former bank is out, the new one is in.
    register = abi.encode_register([CAROL.address], RETAIL_TIER, 0)
    assert world.refusal(BANK_B.address, register)[0] == "AccountOfAnotherParticipant"
    assert world.skips(world.sign(CAROL, BOB, 10), sender=BANK_B) == {0: SkipReason.PayerNotOfParticipant}
    assert world.skips(world.sign(CAROL, BOB, 10), sender=BANK_A) == {}


def test_customers_of_a_suspended_participant_can_move(world: World) -> None:
    suspend(world, 2)
    world.transfer(ALICE, CAROL, 500)
    move = move_of(world, CAROL)
    world.do(BANK_A.address, memberships.encode_move_account(move, sign_move(world, CAROL, move)))
    assert (world.account(CAROL).participant, world.balance(CAROL)) == (1, 500)
    assert world.skips(world.sign(CAROL, BOB, 10)) == {}


def test_a_move_ends_packed_payments_with_lower_nonces(world: World) -> None:
    world.transfer(ALICE, CAROL, 500)
    records = [world.sign(CAROL, BOB, 10, nonce=nonce) for nonce in (4, 5, 6)]
    move = move_of(world, CAROL, nonce=5)
    data = memberships.encode_move_account(move, sign_move(world, CAROL, move))
    world.do(BANK_A.address, data)
    assert world.account(CAROL).nonce == 6
    assert world.skips(*records) == {0: SkipReason.NonceUsed, 1: SkipReason.NonceUsed}
    assert world.balance(CAROL) == 490


def test_a_move_is_done_once(world: World) -> None:
    there, again = move_of(world, CAROL), move_of(world, CAROL, nonce=1, participant=2)
    first = memberships.encode_move_account(there, sign_move(world, CAROL, there))
    world.do(BANK_A.address, first)
    assert world.refusal(BANK_A.address, first) == (
        "AccountOfAnotherParticipant",
        {"account": CAROL.address, "participant": 1},
    )
    world.do(BANK_B.address, memberships.encode_move_account(again, sign_move(world, CAROL, again)))
    assert world.refusal(BANK_A.address, first) == (
        "NonceUsed",
        {"account": CAROL.address, "nonce": 0, "nextNonce": 2},
    )


@pytest.mark.parametrize(
    ("nonce", "code"), [(2, "NonceUsed"), (3, None), (2**32 - 2, None), (2**32 - 1, "NonceUsed")]
)
def test_a_moves_nonce_is_of_the_accounts_one_row(world: World, nonce: int, code: str | None) -> None:
    world.set_account(CAROL, nonce=3)
    move = move_of(world, CAROL, nonce=nonce)
    data = memberships.encode_move_account(move, sign_move(world, CAROL, move))
    if code is None:
        world.do(BANK_A.address, data)
        assert world.account(CAROL).nonce == nonce + 1
    else:
        assert world.refusal(BANK_A.address, data) == (
            code,
            {"account": CAROL.address, "nonce": nonce, "nextNonce": 3},
        )


def test_a_move_expires(world: World) -> None:
    now = world.evm.time_s
    move = move_of(world, CAROL, valid_before_s=now + 1)
    data = memberships.encode_move_account(move, sign_move(world, CAROL, move))
    world.evm.set_time(now + 1)
    assert world.refusal(BANK_A.address, data) == (
        "AuthorizationExpired",
        {"validBefore": now + 1, "blockTime": now + 1},
    )
    world.evm.set_time(now)
    world.do(BANK_A.address, data)


CHANGES = {
    "participant": 2,
    "tier": MERCHANT_TIER,
    "flags": 0,
    "nonce": 1,
    "valid_before_s": 2**40,
}


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_a_move_with_another_field_than_signed_is_refused(world: World, field: str) -> None:
    signed = move_of(world, CAROL, **{field: CHANGES[field]})
    data = memberships.encode_move_account(move_of(world, CAROL), sign_move(world, CAROL, signed))
    assert world.refusal(BANK_A.address, data) == ("InvalidSignature", {"signer": CAROL.address})


def test_a_move_that_another_bank_was_to_make_is_refused(world: World) -> None:
    """The owner signs the new bank's number; here a third one tries to take the account."""
    third = Person.named("bank c")
    world.do(GOVERNOR, abi.encode_set_participant(3, third.address, 0, 0b110))
    move = move_of(world, CAROL)
    data = memberships.encode_move_account(move, sign_move(world, CAROL, move))
    assert world.refusal(third.address, data)[0] == "InvalidSignature"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda world, move: sign_move(world, STRANGER, move),
        lambda world, move: sign_move(world, BANK_A, move),
        lambda world, move: sign_move(world, CAROL, move, PaymentDomain(NAME, 1, world.currency)),
        lambda world, move: sign_move(world, CAROL, move, PaymentDomain(NAME, 1337, BOB.address)),
        lambda world, move: sign_move(world, CAROL, move, PaymentDomain("x", 1337, world.currency)),
        lambda world, move: sign_move(world, CAROL, move)[:64],
        lambda world, move: sign_move(world, CAROL, move) + b"\x00",
        lambda world, move: bytes(65),
        lambda world, move: b"",
    ],
    ids=["stranger", "bank", "chain", "contract", "name", "truncated", "trailing", "zeros", "empty"],
)
def test_a_move_without_its_owners_signature_is_refused(
    world: World, spoil: Callable[[World, AccountMove], bytes]
) -> None:
    move = move_of(world, CAROL)
    data = memberships.encode_move_account(move, spoil(world, move))
    assert world.refusal(BANK_A.address, data) == ("InvalidSignature", {"signer": CAROL.address})


@pytest.mark.parametrize(
    ("change", "code", "arguments"),
    [
        ({"tier": 0}, "TierNotGranted", {"participant": 1, "tier": 0}),
        ({"tier": 3}, "TierNotGranted", {"participant": 1, "tier": 3}),
        ({"flags": 1}, "FlagsNotGranted", {"flags": 1}),
        ({"flags": 16}, "FlagsNotGranted", {"flags": 16}),
        ({"flags": 4 | 32}, "FlagsNotGranted", {"flags": 36}),
        ({"flags": 1 << 23}, "FlagsNotGranted", {"flags": 1 << 23}),
    ],
)
def test_a_bank_moves_accounts_only_to_what_it_may_grant(
    world: World, change: dict[str, int], code: str, arguments: dict[str, int]
) -> None:
    move = move_of(world, CAROL, **change)
    data = memberships.encode_move_account(move, sign_move(world, CAROL, move))
    assert world.refusal(BANK_A.address, data) == (code, arguments)


def test_who_cannot_move(world: World) -> None:
    order = world.register_order()
    world.do(COURT, orders.encode_freeze(order, CAROL.address))
    world.mark(MERCHANT, AccountFlag.CLOSED)
    for owner, code in (
        (CAROL, "AccountNotChangeable"),
        (MERCHANT, "AccountNotChangeable"),
        (BANK_B, "AccountNotChangeable"),
        (ALICE, "AccountOfAnotherParticipant"),
        (BANK_A, "AccountOfAnotherParticipant"),
        (STRANGER, "PayerNotRegistered"),
    ):
        move = move_of(world, owner)
        data = memberships.encode_move_account(move, sign_move(world, owner, move))
        assert world.refusal(BANK_A.address, data)[0] == code
    world.do(REGISTRAR, orders.encode_unfreeze(order, CAROL.address))
    move = move_of(world, CAROL)
    world.do(BANK_A.address, memberships.encode_move_account(move, sign_move(world, CAROL, move)))


def test_what_orders_hold_moves_along(world: World) -> None:
    world.transfer(ALICE, CAROL, 500)
    order = world.register_order()
    world.do(COURT, orders.encode_hold(order, CAROL.address, 400))
    move = move_of(world, CAROL)
    world.do(BANK_A.address, memberships.encode_move_account(move, sign_move(world, CAROL, move)))
    assert world.account(CAROL).flags == REGISTERED | LINKED | AccountFlag.HAS_HOLD
    with pytest.raises(Refused, match="FundsHeld"):
        world.transfer(CAROL, BOB, 101)
    world.do(COURT, orders.encode_force_transfer(order, CAROL.address, BOB.address, 400))


def test_an_account_moves_while_the_currency_is_paused(world: World) -> None:
    """It is registration, which goes on."""
    world.pause()
    move = move_of(world, CAROL)
    world.do(BANK_A.address, memberships.encode_move_account(move, sign_move(world, CAROL, move)))
    assert world.account(CAROL).participant == 1


def test_an_owner_with_code_moves_by_erc_1271(world: World) -> None:
    wallet = Wallet.create(world)
    world.register(BANK_B, [wallet.person], RETAIL_TIER)
    move = move_of(world, wallet.person)
    data = memberships.encode_move_account(move, b"any bytes")
    assert world.refusal(BANK_A.address, data) == ("InvalidSignature", {"signer": wallet.person.address})
    wallet.accept(world, move.digest(world.domain.separator))
    other = memberships.encode_move_account(move_of(world, wallet.person, nonce=1), b"any bytes")
    assert world.refusal(BANK_A.address, other)[0] == "InvalidSignature"
    world.do(BANK_A.address, data)
    assert world.account(wallet.person).participant == 1


def test_a_key_that_delegates_to_code_moves_by_its_own_signature(world: World) -> None:
    code = world.create_from_runtime(bytes(1))  # without ERC-1271
    world.evm.write_code(CAROL.address, bytes.fromhex("ef0100") + code)  # EIP-7702
    move = move_of(world, CAROL)
    by_another = memberships.encode_move_account(move, sign_move(world, ALICE, move))
    assert world.refusal(BANK_A.address, by_another)[0] == "InvalidSignature"
    world.do(BANK_A.address, memberships.encode_move_account(move, sign_move(world, CAROL, move)))
    assert world.account(CAROL).participant == 1


# A tier's history


def versions(world: World, tier: int) -> list[TierVersion]:
    return abi.decode_tier_versions(world.read(abi.encode_tier_versions(tier)))


def test_every_version_of_a_tier_is_kept_the_oldest_first(world: World) -> None:
    start = world.evm.time_s
    first = TierVersion(start, RETAIL_HOLDING, RETAIL_PER_PAYMENT, RETAIL_DAILY)
    assert versions(world, RETAIL_TIER) == [first]
    world.wait(1_000)
    world.set_tier(RETAIL_TIER, 2**96 - 1, 2**64 - 1, 2**64 - 2)
    world.set_tier(RETAIL_TIER, 0, 0, 0)
    assert versions(world, RETAIL_TIER) == [
        first,
        TierVersion(start + 1_000, 2**96 - 1, 2**64 - 1, 2**64 - 2),
        TierVersion(start + 1_000, 0, 0, 0),
    ]
    assert versions(world, MERCHANT_TIER) == [
        TierVersion(start, MERCHANT_HOLDING, MERCHANT_HOLDING, NO_LIMIT)
    ]
    assert versions(world, 255) == []


def test_limits_that_are_set_after_january_2038_pause_nothing(world: World) -> None:
    """Their time has the bit that marks a pause in the table."""
    world.evm.set_time(2**31 + 7)
    world.set_tier(RETAIL_TIER, RETAIL_HOLDING, 10)
    assert versions(world, RETAIL_TIER)[-1] == TierVersion(2**31 + 7, RETAIL_HOLDING, 10, NO_LIMIT)
    world.transfer(ALICE, BOB, 10)
    world.pause()
    assert world.refusal(ALICE.address, abi.encode_transfer(BOB.address, 10))[0] == "CurrencyPaused"
    world.do(PAUSER, abi.encode_unpause())
    world.transfer(ALICE, BOB, 10)


def test_a_pause_leaves_no_mark_in_limits_and_history(world: World) -> None:
    before = versions(world, RETAIL_TIER)
    world.pause()
    world.set_tier(9, 30, 20, 10)
    assert versions(world, RETAIL_TIER) == before
    assert versions(world, 9) == [TierVersion(world.evm.time_s, 30, 20, 10)]
    read = world.read(abi.encode_tier(9))
    assert [abi.decode_uint(read[at : at + 32]) for at in (0, 32, 64)] == [30, 20, 10]


@pytest.mark.parametrize("tier", [9, 255])
def test_a_tier_that_was_set_during_a_pause_is_paused_and_freed_with_the_others(
    world: World, tier: int
) -> None:
    world.pause()
    world.set_tier(tier, 1_000)
    world.set_account(BOB, tier=tier)
    for payer, payee in ((ALICE, BOB), (BOB, ALICE)):
        data = abi.encode_transfer(payee.address, 10)
        assert world.refusal(payer.address, data)[0] == "CurrencyPaused"
    world.do(PAUSER, abi.encode_unpause())
    world.transfer(BOB, ALICE, 10)
