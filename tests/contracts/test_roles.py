"""Every function that changes anything, by everybody who may not call it; and the handover of a role."""

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from contracts import abi, memberships, orders
from contracts.abi import ROLES, AccountFlag, AdministrativeEvent
from contracts.local_evm import Snapshot
from contracts.memberships import AccountMove
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    COURT,
    GOVERNOR,
    ISSUER,
    NOBODY,
    PAUSER,
    REGISTRAR,
    STRANGER,
    SUPERVISOR,
    TAX_OFFICE,
    UPGRADER,
    Refused,
    World,
)

HOLDERS = {
    "GOVERNOR": GOVERNOR,
    "ISSUER": ISSUER,
    "PAUSER": PAUSER,
    "UPGRADER": UPGRADER,
    "SUPERVISOR": SUPERVISOR,
    "REGISTRAR": REGISTRAR,
}
CALLERS = {
    **HOLDERS,
    "authority": COURT,
    "another authority": TAX_OFFICE,
    "bank": BANK_A.address,
    "customer": ALICE.address,
    "nobody": NOBODY,
    "zero": bytes(20),
}
TARGET = bytes([7] * 20)
ORDER = keccak(b"order")  # of COURT; it freezes BOB and holds 9 of ALICE's
GROUP = bytes(20) + b"\x00\x01" + bytes(73)
MOVE = AccountMove(CAROL.address, participant=1, tier=1, flags=0, nonce=0, valid_before_s=2**40)


def call_of(signature: str, *values: object) -> bytes:
    """Call data of what only this file calls with zeros."""
    return abi.SELECTORS[signature] + encode(signature.partition("(")[2][:-1].split(","), values)


# Who may call what, with call data that would do something if the caller were right.
GUARDED: dict[str, tuple[set[str], bytes]] = {
    "setParticipant": ({"GOVERNOR"}, abi.encode_set_participant(9, TARGET, 0, 1)),
    "setTier": ({"GOVERNOR"}, abi.encode_set_tier(9, 9, 9, 9)),
    "increaseMintAllowance": ({"ISSUER"}, abi.encode_increase_mint_allowance(1, 9)),
    "decreaseMintAllowance": ({"ISSUER"}, abi.encode_decrease_mint_allowance(1, 9)),
    "mint": ({"bank"}, abi.encode_mint(9)),
    "burn": ({"bank"}, abi.encode_burn(9)),
    "register": ({"bank"}, abi.encode_register([TARGET], 1, 0)),
    "settle": ({"bank"}, abi.encode_settle(bytes(93), 2**40)),
    "settleGrouped": ({"bank"}, call_of("settleGrouped(bytes,uint64)", GROUP, 2**40)),
    "settleFanOut": (
        {"bank"},
        call_of(
            "settleFanOut(bytes,uint32,uint64,bytes32,bytes32)", bytes(25), 0, 2**40, bytes(32), bytes(32)
        ),
    ),
    "moveAccount": ({"bank"}, memberships.encode_move_account(MOVE, bytes(65))),
    "setSystemAccount": ({"GOVERNOR"}, memberships.encode_set_system_account(TARGET, 1)),
    "suspendParticipant": ({"SUPERVISOR"}, memberships.encode_suspend_participant(1)),
    "reinstateParticipant": ({"SUPERVISOR"}, memberships.encode_reinstate_participant(1)),
    "registerOrder": ({"REGISTRAR"}, orders.encode_register_order(bytes(32), COURT, 9, 2**40)),
    "revokeOrder": ({"REGISTRAR"}, orders.encode_revoke_order(ORDER)),
    "freeze": ({"authority"}, orders.encode_freeze(ORDER, ALICE.address)),
    "unfreeze": ({"authority", "REGISTRAR"}, orders.encode_unfreeze(ORDER, BOB.address)),
    "hold": ({"authority"}, orders.encode_hold(ORDER, ALICE.address, 9)),
    "release": ({"authority", "REGISTRAR"}, orders.encode_release(ORDER, ALICE.address, 9)),
    "forceTransfer": (
        {"authority"},
        orders.encode_force_transfer(ORDER, ALICE.address, CAROL.address, 9),
    ),
    "pause": ({"PAUSER"}, abi.encode_pause()),
    "unpause": ({"PAUSER"}, abi.encode_unpause()),
    "proposeUpgrade": ({"UPGRADER"}, abi.encode_propose_upgrade(TARGET)),
    "cancelUpgrade": ({"UPGRADER", "GOVERNOR"}, abi.encode_cancel_upgrade()),
    "upgradeToAndCall": ({"UPGRADER"}, abi.encode_upgrade(TARGET)),
}
# Anybody may call these: they act on the caller's own account or on a role that was offered to it.
OWN = {"transfer", "transferFrom", "approve", "acceptRole"}
# And these: a signature decides (test_authorizations.py).
SIGNED = {"permit", "transferWithAuthorization", "receiveWithAuthorization", "cancelAuthorization"}
ONCE = {"initialize"}
HANDOVER = {"offerRole"}


def test_the_matrix_covers_every_function_that_changes_anything() -> None:
    changing = {
        entry["name"]
        for entry in abi.load_abi()
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    assert changing == set(GUARDED) | OWN | SIGNED | ONCE | HANDOVER


@pytest.fixture(scope="module")
def in_use(built: tuple[World, Snapshot]) -> Snapshot:
    """Where the court's order is in use, and the tax office has one as well."""
    world, snapshot = built
    world.evm.revert(snapshot)
    assert world.register_order() == ORDER
    world.register_order("another order", authority=TAX_OFFICE)
    world.do(COURT, orders.encode_freeze(ORDER, BOB.address))
    world.do(COURT, orders.encode_hold(ORDER, ALICE.address, 9))
    return world.evm.snapshot()


@pytest.fixture
def ordered(world: World, in_use: Snapshot) -> World:
    """A world with orders in use."""
    world.evm.revert(in_use)
    return world


WRONG = [
    (name, caller) for name, (allowed, _) in GUARDED.items() for caller in CALLERS if caller not in allowed
]


@pytest.mark.parametrize(("name", "caller"), WRONG, ids=[" by ".join(pair) for pair in WRONG])
def test_a_wrong_caller_is_refused(ordered: World, name: str, caller: str) -> None:
    allowed, data = GUARDED[name]
    code, arguments = ordered.refusal(CALLERS[caller], data)
    if allowed == {"bank"}:
        assert (code, arguments) == ("NotAParticipant", {"caller": CALLERS[caller]})
    elif "authority" in allowed:
        assert (code, arguments) == ("NotTheAuthority", {"order": ORDER, "caller": CALLERS[caller]})
    else:
        role = ROLES["UPGRADER" if len(allowed) == 2 else next(iter(allowed))]
        assert (code, arguments) == ("MissingRole", {"role": role, "caller": CALLERS[caller]})


RIGHT = [(name, caller) for name, (allowed, _) in GUARDED.items() for caller in sorted(allowed)]


@pytest.mark.parametrize(("name", "caller"), RIGHT, ids=[" by ".join(pair) for pair in RIGHT])
def test_a_right_caller_gets_past_the_guard(ordered: World, name: str, caller: str) -> None:
    """Some have nothing to act on yet, and say so."""
    nothing_to_do = {
        "unpause": "NotPaused",
        "proposeUpgrade": "ImplementationWithoutCode",
        "cancelUpgrade": "UpgradeNotProposed",
        "upgradeToAndCall": "UpgradeNotProposed",
        "reinstateParticipant": "ParticipantNotSuspended",
        "settleFanOut": "BadSignature",
        "moveAccount": "InvalidSignature",
    }
    _, data = GUARDED[name]
    if name in nothing_to_do:
        assert ordered.refusal(CALLERS[caller], data)[0] == nothing_to_do[name]
    else:
        ordered.do(CALLERS[caller], data)


@pytest.mark.parametrize("name", [name for name, (allowed, _) in GUARDED.items() if allowed == {"bank"}])
def test_a_former_institution_is_refused(world: World, name: str) -> None:
    world.do(GOVERNOR, abi.encode_set_participant(1, STRANGER.address, 0, 0b110))
    with pytest.raises(Refused, match="NotAParticipant"):
        world.do(BANK_A.address, GUARDED[name][1])


@pytest.mark.parametrize("caller", sorted(CALLERS))
def test_nobody_initialises_twice(world: World, caller: str) -> None:
    data = abi.encode_initialize("Mine", "MINE", 2, [NOBODY] * 6, 0)
    with pytest.raises(Refused, match="InvalidInitialization"):
        world.do(CALLERS[caller], data)


@pytest.mark.parametrize("half", ["implementation", "administration"])
def test_nobody_initialises_a_half_by_itself(world: World, half: str) -> None:
    data = abi.encode_initialize("Mine", "MINE", 2, [NOBODY] * 6, 0)
    outcome = world.evm.send(NOBODY, getattr(world, half), data)
    assert abi.decode_revert(outcome.returned)[0] == "InvalidInitialization"


def test_an_initialisation_without_a_role_holder_is_refused(world: World) -> None:
    for missing in range(6):
        holders = [NOBODY] * 6
        holders[missing] = bytes(20)
        data = abi.encode_initialize("Mine", "MINE", 2, holders, 0)
        outcome = world.evm.send(NOBODY, b"", abi.proxy_creation_code(world.implementation, data))
        code, arguments = abi.decode_revert(outcome.returned)
        assert (code, arguments["role"]) == ("RoleWithoutHolder", list(ROLES.values())[missing])


@pytest.mark.parametrize("role", sorted(ROLES))
def test_a_role_is_handed_over_in_two_steps(world: World, role: str) -> None:
    (offered,) = world.do(HOLDERS[role], abi.encode_offer_role(ROLES[role], NOBODY))
    assert isinstance(offered, AdministrativeEvent)
    assert offered.name == "RoleOffered"
    assert world.read(abi.encode_role_holder(ROLES[role]))[12:] == HOLDERS[role]
    (transferred,) = world.do(NOBODY, abi.encode_accept_role(ROLES[role]))
    assert isinstance(transferred, AdministrativeEvent)
    assert transferred.name == "RoleTransferred"
    assert world.read(abi.encode_role_holder(ROLES[role]))[12:] == NOBODY
    with pytest.raises(Refused, match="MissingRole"):
        world.do(HOLDERS[role], abi.encode_offer_role(ROLES[role], HOLDERS[role]))
    with pytest.raises(Refused, match="RoleNotOffered"):
        world.do(NOBODY, abi.encode_accept_role(ROLES[role]))


@pytest.mark.parametrize("role", sorted(ROLES))
def test_only_the_holder_offers_and_only_the_candidate_accepts(world: World, role: str) -> None:
    for caller, address in CALLERS.items():
        if caller != role:
            with pytest.raises(Refused, match="MissingRole"):
                world.do(address, abi.encode_offer_role(ROLES[role], address))
    world.do(HOLDERS[role], abi.encode_offer_role(ROLES[role], NOBODY))
    for caller, address in CALLERS.items():
        if caller != "nobody":
            with pytest.raises(Refused, match="RoleNotOffered"):
                world.do(address, abi.encode_accept_role(ROLES[role]))


def test_an_offer_can_be_replaced_and_withdrawn(world: World) -> None:
    pauser = ROLES["PAUSER"]
    world.do(PAUSER, abi.encode_offer_role(pauser, NOBODY))
    world.do(PAUSER, abi.encode_offer_role(pauser, STRANGER.address))
    with pytest.raises(Refused, match="RoleNotOffered"):
        world.do(NOBODY, abi.encode_accept_role(pauser))
    world.do(PAUSER, abi.encode_offer_role(pauser, bytes(20)))
    for caller in (STRANGER.address, bytes(20)):
        with pytest.raises(Refused):
            world.do(caller, abi.encode_accept_role(pauser))


def test_a_role_that_does_not_exist_belongs_to_nobody(world: World) -> None:
    for caller in set(CALLERS.values()) - {bytes(20)}:  # nobody can send from the zero address
        with pytest.raises(Refused):
            world.do(caller, abi.encode_offer_role(bytes(31) + b"\x01", NOBODY))
        with pytest.raises(Refused):
            world.do(caller, abi.encode_accept_role(bytes(31) + b"\x01"))


def test_a_frozen_banks_customers_may_still_pay_singly(world: World) -> None:
    world.mark(BANK_A, AccountFlag.FROZEN)
    world.transfer(ALICE, BANK_B, 5)
    assert world.account(ALICE).spent_today == 5
