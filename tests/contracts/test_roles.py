"""Every function that changes anything, by everybody who may not call it; and the handover of a role."""

import pytest

from contracts import abi
from contracts.abi import ROLES, AccountFlag, AdministrativeEvent
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    GOVERNOR,
    ISSUER,
    NOBODY,
    PAUSER,
    STRANGER,
    UPGRADER,
    Refused,
    World,
)

HOLDERS = {"GOVERNOR": GOVERNOR, "ISSUER": ISSUER, "PAUSER": PAUSER, "UPGRADER": UPGRADER}
CALLERS = {
    **HOLDERS,
    "bank": BANK_A.address,
    "customer": ALICE.address,
    "nobody": NOBODY,
    "zero": bytes(20),
}
TARGET = bytes([7] * 20)

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
    "pause": ({"PAUSER"}, abi.encode_pause()),
    "unpause": ({"PAUSER"}, abi.encode_unpause()),
    "proposeUpgrade": ({"UPGRADER"}, abi.encode_propose_upgrade(TARGET)),
    "cancelUpgrade": ({"UPGRADER", "GOVERNOR"}, abi.encode_cancel_upgrade()),
    "upgradeToAndCall": ({"UPGRADER"}, abi.encode_upgrade(TARGET)),
}
# Anybody may call these: they act on the caller's own account or on a role that was offered to it.
OWN = {"transfer", "transferFrom", "approve", "acceptRole"}
ONCE = {"initialize"}
HANDOVER = {"offerRole"}


def test_the_matrix_covers_every_function_that_changes_anything() -> None:
    changing = {
        entry["name"]
        for entry in abi.load_abi()
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    assert changing == set(GUARDED) | OWN | ONCE | HANDOVER


WRONG = [
    (name, caller) for name, (allowed, _) in GUARDED.items() for caller in CALLERS if caller not in allowed
]


@pytest.mark.parametrize(("name", "caller"), WRONG, ids=[" by ".join(pair) for pair in WRONG])
def test_a_wrong_caller_is_refused(world: World, name: str, caller: str) -> None:
    allowed, data = GUARDED[name]
    before = world.fingerprint()
    with pytest.raises(Refused) as refusal:
        world.do(CALLERS[caller], data)
    assert world.fingerprint() == before
    if allowed == {"bank"}:
        assert refusal.value.code == "NotAParticipant"
        assert refusal.value.arguments == {"caller": CALLERS[caller]}
    else:
        role = ROLES["UPGRADER" if len(allowed) == 2 else next(iter(allowed))]
        assert refusal.value.code == "MissingRole"
        assert refusal.value.arguments == {"role": role, "caller": CALLERS[caller]}


@pytest.mark.parametrize("name", sorted(GUARDED))
def test_a_right_caller_gets_past_the_guard(world: World, name: str) -> None:
    """Some have nothing to act on yet, and say so."""
    nothing_to_do = {
        "unpause": "NotPaused",
        "proposeUpgrade": "ImplementationWithoutCode",
        "cancelUpgrade": "UpgradeNotProposed",
        "upgradeToAndCall": "UpgradeNotProposed",
    }
    allowed, data = GUARDED[name]
    for caller in allowed:
        if name in nothing_to_do:
            with pytest.raises(Refused, match=nothing_to_do[name]):
                world.do(CALLERS[caller], data)
        else:
            world.do(CALLERS[caller], data)


@pytest.mark.parametrize("name", [name for name, (allowed, _) in GUARDED.items() if allowed == {"bank"}])
def test_a_former_institution_is_refused(world: World, name: str) -> None:
    world.do(GOVERNOR, abi.encode_set_participant(1, STRANGER.address, 0, 0b110))
    with pytest.raises(Refused, match="NotAParticipant"):
        world.do(BANK_A.address, GUARDED[name][1])


@pytest.mark.parametrize("caller", sorted(CALLERS))
def test_nobody_initialises_twice(world: World, caller: str) -> None:
    data = abi.encode_initialize("Mine", "MINE", 2, [NOBODY] * 4, 0)
    with pytest.raises(Refused, match="InvalidInitialization"):
        world.do(CALLERS[caller], data)


def test_nobody_initialises_the_implementation(world: World) -> None:
    data = abi.encode_initialize("Mine", "MINE", 2, [NOBODY] * 4, 0)
    outcome = world.evm.send(NOBODY, world.implementation, data)
    assert abi.decode_revert(outcome.returned)[0] == "InvalidInitialization"


def test_an_initialisation_without_a_role_holder_is_refused(world: World) -> None:
    for missing in range(4):
        holders = [NOBODY] * 4
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
