"""The standard token interface, as a wallet or an exchange uses it."""

import pytest
from eth_abi.abi import decode

from contracts import abi
from contracts.abi import AdministrativeEvent
from tests.contracts.world import ALICE, BOB, CAROL, STRANGER, SUPPLY, Refused, World


def test_names_decimals_and_supply(world: World) -> None:
    assert decode(["string"], world.read(abi.SELECTORS["name()"])) == ("Czech koruna",)
    assert decode(["string"], world.read(abi.SELECTORS["symbol()"])) == ("CZK",)
    assert abi.decode_uint(world.read(abi.SELECTORS["decimals()"])) == 2
    assert world.supply() == 2 * SUPPLY
    assert abi.decode_uint(world.read(abi.encode_balance_of(ALICE.address))) == 60_000


def test_transfer_returns_true_and_touches_two_accounts(world: World) -> None:
    outcome = world.attempt(ALICE.address, abi.encode_transfer(CAROL.address, 7))
    assert abi.decode_uint(outcome.returned) == 1
    assert (world.balance(ALICE), world.balance(CAROL), world.balance(BOB)) == (59_993, 7, 60_000)


def allowance(world: World) -> int:
    arguments = b"".join(bytes(12) + each.address for each in (ALICE, STRANGER))
    return abi.decode_uint(world.read(abi.SELECTORS["allowance(address,address)"] + arguments))


def test_a_spender_spends_at_most_what_was_approved(world: World) -> None:
    (event,) = world.do(ALICE.address, abi.encode_approve(STRANGER.address, 100))
    assert isinstance(event, AdministrativeEvent)
    assert event.name == "Approval"
    world.do(STRANGER.address, abi.encode_transfer_from(ALICE.address, CAROL.address, 60))
    assert allowance(world) == 40
    with pytest.raises(Refused) as refusal:
        world.do(STRANGER.address, abi.encode_transfer_from(ALICE.address, CAROL.address, 41))
    assert refusal.value.code == "InsufficientAllowance"
    assert refusal.value.arguments == {"spender": STRANGER.address, "allowance": 40, "amount": 41}
    world.do(STRANGER.address, abi.encode_transfer_from(ALICE.address, CAROL.address, 40))
    assert (allowance(world), world.balance(CAROL)) == (0, 100)


def test_an_unlimited_approval_does_not_decline(world: World) -> None:
    world.do(ALICE.address, abi.encode_approve(STRANGER.address, 2**256 - 1))
    world.do(STRANGER.address, abi.encode_transfer_from(ALICE.address, CAROL.address, 60))
    assert allowance(world) == 2**256 - 1


def test_a_refused_transfer_keeps_the_approval(world: World) -> None:
    world.do(ALICE.address, abi.encode_approve(STRANGER.address, 60_000))
    with pytest.raises(Refused, match="PerPaymentLimitExceeded"):
        world.do(STRANGER.address, abi.encode_transfer_from(ALICE.address, CAROL.address, 50_001))
    assert allowance(world) == 60_000


def test_spending_by_another_counts_for_the_owner(world: World) -> None:
    world.do(ALICE.address, abi.encode_approve(STRANGER.address, 100))
    world.do(STRANGER.address, abi.encode_transfer_from(ALICE.address, CAROL.address, 60))
    assert world.account(ALICE).spent_today == 60
    assert world.word(STRANGER) == 0


def test_the_zero_address_cannot_be_approved(world: World) -> None:
    with pytest.raises(Refused, match="ZeroAddress"):
        world.do(ALICE.address, abi.encode_approve(bytes(20), 1))


def test_ether_is_not_accepted(world: World) -> None:
    for data in (b"", abi.encode_transfer(CAROL.address, 1)):
        assert not world.evm.send(ALICE.address, world.currency, data, value=1).is_success


def test_unknown_functions_revert(world: World) -> None:
    with pytest.raises(Refused, match="EmptyRevert"):
        world.do(ALICE.address, b"\xde\xad\xbe\xef")
