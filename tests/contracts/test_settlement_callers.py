"""Every function that changes anything, by everybody who may not call it."""

import pytest

from contracts import abi, settlement
from contracts.events import AdministrativeEvent
from contracts.local_evm import Snapshot
from tests.contracts.settlement_world import (
    LOSSES,
    OPERATOR,
    A,
    B,
    SettlementWorld,
    arguments_of,
    bank_of,
)
from tests.contracts.world import ALICE, BANK_A, DEPLOYER, GOVERNOR, ISSUER, NOBODY, PAUSER, STRANGER, Refused

# Payments of participant 1 that stand ready, each in the state that its verb needs.
QUEUED, HELD = settlement.payment_id(A, b"queued"), settlement.payment_id(A, b"held")
NEW = settlement.payment_id(A, b"new")

# For an institution, with call data that would do something if the caller were right.
PARTICIPANTS: dict[str, bytes] = {
    "deposit": settlement.encode_deposit(5),
    "withdraw": settlement.encode_withdraw(5),
    "setNetDebitCap": settlement.encode_set_net_debit_cap(5),
    "submit": settlement.encode_submit(NEW, B, 5, 2),
}
PAYERS: dict[str, bytes] = {
    "hold": settlement.encode_hold(QUEUED),
    "resume": settlement.encode_resume(HELD),
    "reprioritise": settlement.encode_reprioritise(QUEUED, 1),
    "cancel": settlement.encode_cancel(QUEUED),
}
POSITIONS = settlement.pack_positions({A: -1, B: 1})
OPERATORS: dict[str, bytes] = {
    "settleNet": settlement.encode_settle_net(1, bytes(32), POSITIONS),
    "settleGross": settlement.encode_settle_gross(
        1, *settlement.pack_payments([settlement.CyclePayment(A, B, 1)])
    ),
    "offerRole": abi.encode_offer_role(settlement.OPERATOR_ROLE, NOBODY),
}
# Anybody may: what they are given is checked, not who gives it.
ANYBODY = {"expire", "resolve", "acceptRole"}

OUTSIDERS = {
    "operator": OPERATOR,
    "governor": GOVERNOR,
    "issuer": ISSUER,
    "pauser": PAUSER,
    "deployer": DEPLOYER,
    "customer": ALICE.address,
    "nobody": NOBODY,
    "zero": bytes(20),
}


@pytest.fixture(scope="module")
def made_ready(built_banks: tuple[SettlementWorld, Snapshot]) -> Snapshot:
    """Where every test begins: made once."""
    banks, snapshot = built_banks
    banks.evm.revert(snapshot)
    banks.deposit(A, 100)
    banks.deposit(B, 100)
    banks.set_cap(A)
    banks.submit(A, B, 1_000, identifier=QUEUED)
    banks.submit(A, B, 1_000, identifier=HELD)
    banks.settle_do(bank_of(A), settlement.encode_hold(HELD))
    return banks.evm.snapshot()


@pytest.fixture
def ready(banks: SettlementWorld, made_ready: Snapshot) -> SettlementWorld:
    """Participant 1 has money, consent, a queued and a held payment."""
    banks.evm.revert(made_ready)
    return banks


def test_the_matrix_covers_every_function_that_changes_anything() -> None:
    changing = {
        entry["name"]
        for entry in abi.load_artifact("Settlement")["abi"]
        if entry["type"] == "function" and entry["stateMutability"] not in ("view", "pure")
    }
    assert changing == {*PARTICIPANTS, *PAYERS, *OPERATORS} | ANYBODY


@pytest.mark.parametrize("name", [*PARTICIPANTS, *PAYERS])
def test_the_right_institution_may(ready: SettlementWorld, name: str) -> None:
    before = ready.settlement_root()
    ready.settle_do(bank_of(A), {**PARTICIPANTS, **PAYERS}[name])
    assert ready.settlement_root() != before


@pytest.mark.parametrize("name", OPERATORS)
def test_the_operator_may(ready: SettlementWorld, name: str) -> None:
    before = ready.settlement_root()
    ready.settle_do(OPERATOR, OPERATORS[name])
    assert ready.settlement_root() != before


@pytest.mark.parametrize("caller", OUTSIDERS)
@pytest.mark.parametrize("name", [*PARTICIPANTS, *PAYERS])
def test_who_is_no_institution_is_refused(ready: SettlementWorld, name: str, caller: str) -> None:
    before = ready.settlement_root()
    with pytest.raises(Refused) as refusal:
        ready.settle_do(OUTSIDERS[caller], {**PARTICIPANTS, **PAYERS}[name])
    assert arguments_of(refusal) == ("NotAParticipant", {"caller": OUTSIDERS[caller]})
    assert ready.settlement_root() == before


@pytest.mark.parametrize("name", [*PARTICIPANTS, *PAYERS])
def test_a_former_institution_is_refused(ready: SettlementWorld, name: str) -> None:
    ready.do(GOVERNOR, abi.encode_set_participant(A, STRANGER.address, 0, 0b110))
    before = ready.settlement_root()
    with pytest.raises(Refused, match="NotAParticipant"):
        ready.settle_do(BANK_A.address, {**PARTICIPANTS, **PAYERS}[name])
    assert ready.settlement_root() == before


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", [*PARTICIPANTS, *PAYERS])
def test_an_institution_out_of_standing_is_refused(ready: SettlementWorld, name: str, loss: str) -> None:
    ready.lose(A, loss)
    before = ready.settlement_root()
    with pytest.raises(Refused) as refusal:
        ready.settle_do(bank_of(A), {**PARTICIPANTS, **PAYERS}[name])
    assert arguments_of(refusal) == ("ParticipantNotInStanding", {"participant": A})
    assert ready.settlement_root() == before


@pytest.mark.parametrize("name", PAYERS)
def test_another_participant_is_refused(ready: SettlementWorld, name: str) -> None:
    before = ready.settlement_root()
    with pytest.raises(Refused) as refusal:
        ready.settle_do(bank_of(B), PAYERS[name])
    identifier = HELD if name == "resume" else QUEUED
    assert arguments_of(refusal) == ("NotThePayer", {"paymentId": identifier, "payer": A, "caller": B})
    assert ready.settlement_root() == before


@pytest.mark.parametrize("caller", [*OUTSIDERS, "bank"][1:])
@pytest.mark.parametrize("name", OPERATORS)
def test_who_is_not_the_operator_is_refused(ready: SettlementWorld, name: str, caller: str) -> None:
    address = {**OUTSIDERS, "bank": bank_of(A)}[caller]
    before = ready.settlement_root()
    with pytest.raises(Refused) as refusal:
        ready.settle_do(address, OPERATORS[name])
    assert arguments_of(refusal) == ("MissingRole", {"role": settlement.OPERATOR_ROLE, "caller": address})
    assert ready.settlement_root() == before


def test_the_operators_role_is_handed_over_in_two_steps(ready: SettlementWorld) -> None:
    role = settlement.OPERATOR_ROLE
    (offered,) = ready.settle_do(OPERATOR, abi.encode_offer_role(role, NOBODY))
    assert isinstance(offered, AdministrativeEvent)
    assert offered.name == "RoleOffered"
    for caller in (OPERATOR, bank_of(A), STRANGER.address):
        with pytest.raises(Refused, match="RoleNotOffered"):
            ready.settle_do(caller, abi.encode_accept_role(role))
    with pytest.raises(Refused, match="MissingRole"):
        ready.settle_do(NOBODY, OPERATORS["settleNet"])
    ready.settle_do(NOBODY, abi.encode_accept_role(role))
    with pytest.raises(Refused, match="MissingRole"):
        ready.settle_do(OPERATOR, OPERATORS["settleNet"])
    ready.settle_do(NOBODY, OPERATORS["settleNet"])


def test_the_currencys_roles_have_no_power_here(ready: SettlementWorld) -> None:
    for role in abi.ROLES.values():
        for caller in (GOVERNOR, OPERATOR):
            with pytest.raises(Refused, match="MissingRole"):
                ready.settle_do(caller, abi.encode_offer_role(role, NOBODY))


def test_ether_is_not_accepted(banks: SettlementWorld) -> None:
    for target in (banks.settlement, banks.trades):
        assert not banks.evm.send(bank_of(A), target, b"", value=1).is_success
        assert not banks.evm.send(
            bank_of(A), target, settlement.encode_set_net_debit_cap(1), value=1
        ).is_success
