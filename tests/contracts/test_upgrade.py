"""Upgrades: only what was proposed, only after the delay, and every balance stays."""

import pytest
from eth_hash.auto import keccak

from contracts import abi, memberships, orders
from contracts.abi import ROLES, AdministrativeEvent, BatchSettled
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    CAROL,
    COURT,
    GOVERNOR,
    ISSUER,
    NAME,
    NOBODY,
    PAUSER,
    REGISTRAR,
    SUPERVISOR,
    UPGRADE_DELAY_S,
    UPGRADER,
    Refused,
    World,
)

IMPLEMENTATION_SLOT = int.from_bytes(keccak(b"eip1967.proxy.implementation"), "big") - 1

HOLDERS = (GOVERNOR, ISSUER, PAUSER, UPGRADER, SUPERVISOR, REGISTRAR)


def implementation_of(world: World) -> bytes:
    return world.evm.read_storage(world.currency, IMPLEMENTATION_SLOT).to_bytes(20, "big")


def create(world: World) -> bytes:
    """Create another implementation with the same other half."""
    return world.create(abi.implementation_creation_code(world.administration, NAME))


def wait(world: World, seconds: int) -> None:
    world.evm.set_time(world.evm.time_s + seconds)


def refuse(world: World, sender: bytes, data: bytes) -> tuple[str, dict[str, object]]:
    before = world.fingerprint()
    with pytest.raises(Refused) as refusal:
        world.do(sender, data)
    assert world.fingerprint() == before
    return refusal.value.code, refusal.value.arguments


def test_it_waits_for_the_whole_delay(world: World) -> None:
    successor = create(world)
    ready_at = world.evm.time_s + UPGRADE_DELAY_S
    (proposed,) = world.do(UPGRADER, abi.encode_propose_upgrade(successor))
    assert isinstance(proposed, AdministrativeEvent)
    assert proposed.name == "UpgradeProposed"
    early = ("UpgradeTooEarly", {"readyAt": ready_at, "blockTime": ready_at - UPGRADE_DELAY_S})
    assert refuse(world, UPGRADER, abi.encode_upgrade(successor)) == early
    wait(world, UPGRADE_DELAY_S - 1)
    assert refuse(world, UPGRADER, abi.encode_upgrade(successor))[0] == "UpgradeTooEarly"
    wait(world, 1)
    world.do(UPGRADER, abi.encode_upgrade(successor))
    assert implementation_of(world) == successor


def test_it_keeps_balances_roles_and_rules(world: World) -> None:
    world.settle(world.sign(ALICE, CAROL, 77))
    accounts = [world.account(each) for each in (ALICE, CAROL, BANK_A)]
    supply = world.supply()
    successor = create(world)
    world.do(UPGRADER, abi.encode_propose_upgrade(successor))
    wait(world, UPGRADE_DELAY_S)
    world.do(UPGRADER, abi.encode_upgrade(successor))

    assert [world.account(each) for each in (ALICE, CAROL, BANK_A)] == accounts
    assert world.supply() == supply
    for role, holder in zip(ROLES, HOLDERS, strict=True):
        assert world.read(abi.encode_role_holder(ROLES[role]))[12:] == holder
    assert abi.decode_uint(world.read(abi.SELECTORS["upgradeDelay()"])) == UPGRADE_DELAY_S
    assert world.read(abi.encode_domain_separator()) == world.domain.separator
    assert world.skips(world.sign(ALICE, CAROL, 1)) == {}
    assert refuse(world, UPGRADER, abi.encode_upgrade(successor))[0] == "UpgradeNotProposed"


def test_only_the_proposed_call_initialises_it(world: World) -> None:
    successor = create(world)
    call = abi.SELECTORS["paused()"]
    world.do(UPGRADER, abi.encode_propose_upgrade(successor, call))
    wait(world, UPGRADE_DELAY_S)
    for data in (b"", abi.SELECTORS["totalSupply()"], call + b"\x00"):
        assert refuse(world, UPGRADER, abi.encode_upgrade(successor, data))[0] == "UpgradeNotProposed"
    world.do(UPGRADER, abi.encode_upgrade(successor, call))
    assert implementation_of(world) == successor


def test_another_implementation_than_proposed_is_refused(world: World) -> None:
    proposed, other = create(world), create(world)
    world.do(UPGRADER, abi.encode_propose_upgrade(proposed))
    wait(world, UPGRADE_DELAY_S)
    assert refuse(world, UPGRADER, abi.encode_upgrade(other)) == (
        "UpgradeNotProposed",
        {"implementation": other},
    )


def test_a_later_proposal_replaces_the_earlier_and_waits_anew(world: World) -> None:
    first, second = create(world), create(world)
    world.do(UPGRADER, abi.encode_propose_upgrade(first))
    wait(world, UPGRADE_DELAY_S)
    world.do(UPGRADER, abi.encode_propose_upgrade(second))
    assert refuse(world, UPGRADER, abi.encode_upgrade(first))[0] == "UpgradeNotProposed"
    assert refuse(world, UPGRADER, abi.encode_upgrade(second))[0] == "UpgradeTooEarly"


@pytest.mark.parametrize("canceller", [UPGRADER, GOVERNOR])
def test_a_cancelled_proposal_cannot_be_executed(world: World, canceller: bytes) -> None:
    successor = create(world)
    world.do(UPGRADER, abi.encode_propose_upgrade(successor))
    (cancelled,) = world.do(canceller, abi.encode_cancel_upgrade())
    assert isinstance(cancelled, AdministrativeEvent)
    assert cancelled.name == "UpgradeCancelled"
    wait(world, UPGRADE_DELAY_S)
    assert refuse(world, UPGRADER, abi.encode_upgrade(successor))[0] == "UpgradeNotProposed"
    assert refuse(world, canceller, abi.encode_cancel_upgrade())[0] == "UpgradeNotProposed"


def test_the_pending_proposal_can_be_read(world: World) -> None:
    successor = create(world)
    world.do(UPGRADER, abi.encode_propose_upgrade(successor, b"\x01"))
    read = world.read(abi.SELECTORS["pendingUpgrade()"])
    commitment = keccak(bytes(12) + successor + keccak(world.evm.read_code(successor)) + keccak(b"\x01"))
    assert read[:32] == commitment
    assert abi.decode_uint(read[32:]) == world.evm.time_s + UPGRADE_DELAY_S


def test_an_address_without_code_cannot_be_proposed(world: World) -> None:
    assert refuse(world, UPGRADER, abi.encode_propose_upgrade(NOBODY)) == (
        "ImplementationWithoutCode",
        {"implementation": NOBODY},
    )


def test_a_contract_that_could_never_be_upgraded_again_is_refused(world: World) -> None:
    returns_nothing = world.create_from_runtime(bytes.fromhex("00"))
    returns_one = world.create_from_runtime(bytes.fromhex("600160005260206000f3"))
    for contract, code in (
        (returns_nothing, {"ERC1967InvalidImplementation", "EmptyRevert"}),
        (returns_one, {"UUPSUnsupportedProxiableUUID"}),
    ):
        world.do(UPGRADER, abi.encode_propose_upgrade(contract))
        wait(world, UPGRADE_DELAY_S)
        assert refuse(world, UPGRADER, abi.encode_upgrade(contract))[0] in code
    assert implementation_of(world) == world.implementation


def test_the_proxy_itself_is_not_an_implementation(world: World) -> None:
    world.do(UPGRADER, abi.encode_propose_upgrade(world.currency))
    wait(world, UPGRADE_DELAY_S)
    assert refuse(world, UPGRADER, abi.encode_upgrade(world.currency))[0] == "ERC1967InvalidImplementation"


@pytest.mark.parametrize("half", ["implementation", "administration"])
def test_a_half_by_itself_is_nobodys(world: World, half: str) -> None:
    """Its own storage is empty: no role has a holder, and it can neither be initialised nor upgraded."""
    for sender in (UPGRADER, GOVERNOR, REGISTRAR, BANK_A.address):
        for data in (
            abi.encode_propose_upgrade(world.currency),
            abi.encode_upgrade(world.currency),
            abi.encode_pause(),
            abi.encode_mint(1),
            orders.encode_register_order(bytes(32), NOBODY, 1, 2**40),
            abi.encode_initialize(NAME, "CZK", 2, [NOBODY] * 6, 0),
        ):
            assert not world.evm.send(sender, getattr(world, half), data).is_success


def test_an_implementation_without_its_other_half_is_not_created(world: World) -> None:
    outcome = world.evm.send(NOBODY, b"", abi.implementation_creation_code(NOBODY, NAME))
    assert abi.decode_revert(outcome.returned) == ("ImplementationWithoutCode", {"implementation": NOBODY})


def test_it_replaces_both_halves_and_the_form_of_events_and_keeps_what_both_wrote(world: World) -> None:
    order = world.register_order()
    world.do(COURT, orders.encode_hold(order, ALICE.address, 59_990))
    world.do(SUPERVISOR, memberships.encode_suspend_participant(2))
    assert abi.decode_uint(world.read(abi.SELECTORS["emitsTransfers()"])) == 1
    administration = world.create(abi.administration_creation_code())
    successor = world.create(abi.implementation_creation_code(administration, NAME, emits_transfers=False))
    world.do(UPGRADER, abi.encode_propose_upgrade(successor))
    wait(world, UPGRADE_DELAY_S)
    world.do(UPGRADER, abi.encode_upgrade(successor))
    assert abi.decode_uint(world.read(abi.SELECTORS["emitsTransfers()"])) == 0
    assert refuse(world, BANK_B.address, abi.encode_mint(1))[0] == "ParticipantSuspended"
    assert refuse(world, ALICE.address, abi.encode_transfer(CAROL.address, 11))[0] == "FundsHeld"
    (settled,) = world.settle(world.sign(ALICE, CAROL, 10))
    assert isinstance(settled, BatchSettled)
    assert world.balance(CAROL) == 10
    world.do(REGISTRAR, orders.encode_release(order, ALICE.address, 59_990))
    world.transfer(ALICE, CAROL, 11)


def test_the_proposal_survives_a_handover_of_the_role(world: World) -> None:
    successor = create(world)
    world.do(UPGRADER, abi.encode_propose_upgrade(successor))
    world.do(UPGRADER, abi.encode_offer_role(ROLES["UPGRADER"], NOBODY))
    world.do(NOBODY, abi.encode_accept_role(ROLES["UPGRADER"]))
    wait(world, UPGRADE_DELAY_S)
    assert refuse(world, UPGRADER, abi.encode_upgrade(successor))[0] == "MissingRole"
    world.do(NOBODY, abi.encode_upgrade(successor))


def test_a_paused_currency_can_still_be_upgraded(world: World) -> None:
    world.do(PAUSER, abi.encode_pause())
    successor = create(world)
    world.do(UPGRADER, abi.encode_propose_upgrade(successor))
    wait(world, UPGRADE_DELAY_S)
    world.do(UPGRADER, abi.encode_upgrade(successor))
    assert abi.decode_uint(world.read(abi.encode_paused())) == 1
