"""Mandates as the node keeps them: registered by their customers, spent up to their caps, revoked."""

import uuid
from collections import defaultdict
from typing import Any

import msgspec
import pytest
from customer_desk import (
    NOW_S,
    OTHER_WALLET,
    PASSKEY,
    PAYEE,
    SECOND,
    SEPARATOR,
    STRANGER,
    TERMS,
    UNTIL_S,
    WALLET,
    Desk,
    by_mandate,
    mandate,
    new_id,
    paid,
    said,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.customer_approvals import (
    FanOutApproval,
    PaymentApproval,
)
from wallet_node.customers.mandates import MandateRegistration, MandateRevocations
from wallet_node.customers.proof_decisions import (
    Proved,
    decide_approval,
    decide_proof,
)
from wallet_node.journal.periods import Period, period_start_s


def test_a_mandate_is_registered_by_the_payers_credential_and_then_pays(desk: Desk) -> None:
    desk.create()
    mandate_id = new_id()
    assert desk.prove(new_id(), paid(), by_mandate(mandate_id)) == "MandateUnknown"
    assert desk.register(mandate(mandate_id)) == "new"
    desk.reopen()
    assert desk.prove(new_id(), paid(), by_mandate(mandate_id)) == "mandate"


def test_registering_the_same_again_is_answered_the_same(desk: Desk) -> None:
    """Also when its approval has expired, or its counter is behind."""
    desk.create()
    mandate_id = new_id()
    asked = mandate(mandate_id, sign_count=3)
    assert desk.register(asked) == "new"
    before = desk.content()
    assert desk.register(asked) == "same"
    desk.now_s = UNTIL_S + 1
    assert desk.register(asked) == "same"
    assert desk.content() == before


def test_another_content_under_a_known_id_is_refused(desk: Desk) -> None:
    desk.create()
    mandate_id = new_id()
    assert desk.register(mandate(mandate_id)) == "new"
    before = desk.content()
    assert desk.register(mandate(mandate_id, cap_minor=1_001)) == "MandateIdReused"
    assert desk.content() == before


def test_a_mandate_is_registered_before_its_approval_expires(desk: Desk) -> None:
    desk.create()
    desk.now_s = UNTIL_S
    assert desk.register(mandate(new_id())) == "ProofExpired"


def test_a_mandate_needs_a_credential_of_its_payer(desk: Desk) -> None:
    desk.create()
    desk.create(SECOND.credential, OTHER_WALLET)
    assert desk.register(mandate(new_id(), SECOND)) == "CredentialUnknown"
    assert desk.register(mandate(new_id(), payer=OTHER_WALLET)) == "CredentialUnknown"


@pytest.mark.parametrize(
    "changes",
    [
        {"mandate_id": new_id()},
        {"payer": OTHER_WALLET},
        {"payee": STRANGER},
        {"cap_minor": 10_000},
        {"period": "week"},
        {"starts_at_s": NOW_S - 1},
        {"expires_at_s": NOW_S + 500 * 86_400},
    ],
)
def test_every_member_of_a_mandate_is_approved(desk: Desk, changes: dict[str, Any]) -> None:
    desk.create()
    desk.create(wallet=OTHER_WALLET)
    approved = mandate(new_id())
    other = (
        mandate(uuid.UUID(approved.mandate_id).bytes, **changes)
        if "mandate_id" not in changes
        else mandate(changes["mandate_id"])
    )
    spoilt = msgspec.structs.replace(other, approval=approved.approval)
    assert desk.register(spoilt) == "ChallengeMismatch"


def test_no_approval_of_one_kind_is_one_of_another(desk: Desk) -> None:
    """Even where two messages have the same numbers, their types differ."""
    desk.create()
    identifier = new_id()
    payment = decide_approval(
        WALLET,
        PaymentApproval(identifier, WALLET, PAYEE, 1, UNTIL_S).digest(SEPARATOR),
        PASSKEY.approval(FanOutApproval(identifier, WALLET, b"", UNTIL_S).digest(SEPARATOR), UNTIL_S),
        desk.load(),
        TERMS,
    )
    assert said(payment) == "ChallengeMismatch"
    fan_out = FanOutApproval(identifier, WALLET, b"packed", UNTIL_S).digest(SEPARATOR)
    accepted = decide_approval(WALLET, fan_out, PASSKEY.approval(fan_out, UNTIL_S), desk.load(), TERMS)
    assert said(accepted) == "assertion"


def test_a_revoked_mandate_pays_no_more(desk: Desk) -> None:
    desk.create()
    mandate_id = new_id()
    assert desk.register(mandate(mandate_id)) == "new"
    assert desk.prove(new_id(), paid(), by_mandate(mandate_id)) == "mandate"
    for _ in range(2):
        desk.revoke(mandate_id)
    desk.reopen()
    assert desk.prove(new_id(), paid(), by_mandate(mandate_id)) == "MandateRevoked"
    assert desk.register(mandate(mandate_id)) == "same"
    assert desk.prove(new_id(), paid(), by_mandate(mandate_id)) == "MandateRevoked"


def test_an_id_can_be_revoked_before_it_comes(desk: Desk) -> None:
    desk.create()
    mandate_id = new_id()
    desk.revoke(mandate_id)
    assert desk.register(mandate(mandate_id)) == "MandateRevoked"
    assert desk.prove(new_id(), paid(), by_mandate(mandate_id)) == "MandateUnknown"


def test_two_payments_of_a_batch_see_both(desk: Desk) -> None:
    desk.create()
    mandate_id = new_id()
    assert desk.register(mandate(mandate_id)) == "new"
    view = desk.load(mandate_id)
    decisions = []
    for amount in (600, 401, 400, 1):
        decided = decide_proof(new_id(), paid(amount), by_mandate(mandate_id), view, TERMS)
        if isinstance(decided, Proved):
            decided.record(view)
        decisions.append(said(decided))
    assert decisions == ["mandate", "MandateCapExceeded", "mandate", "MandateCapExceeded"]
    desk.write(view)
    assert desk.prove(new_id(), paid(1), by_mandate(mandate_id)) == "MandateCapExceeded"


@pytest.mark.parametrize(
    ("period", "later_s"), [("day", 86_400), ("week", 7 * 86_400), ("month", 31 * 86_400)]
)
def test_a_new_period_frees_the_cap_and_a_clock_set_back_does_not(
    desk: Desk, period: Period, later_s: int
) -> None:
    desk.create()
    mandate_id = new_id()
    assert desk.register(mandate(mandate_id, period=period)) == "new"
    assert desk.prove(new_id(), paid(1_000), by_mandate(mandate_id)) == "mandate"
    desk.reopen()
    assert desk.prove(new_id(), paid(1), by_mandate(mandate_id)) == "MandateCapExceeded"
    desk.now_s += later_s
    assert desk.prove(new_id(), paid(1_000), by_mandate(mandate_id)) == "mandate"
    desk.now_s -= later_s
    assert desk.prove(new_id(), paid(1), by_mandate(mandate_id)) == "MandateCapExceeded"


def test_mandates_come_from_the_wire_with_sensible_numbers_only() -> None:
    asked = mandate(new_id())
    good = msgspec.to_builtins(asked)
    assert msgspec.convert(good, MandateRegistration) == asked
    for spoilt in (
        {"cap_minor": 0},
        {"cap_minor": -1},
        {"cap_minor": 2**63},
        {"period": "year"},
        {"period": None},
        {"starts_at_s": 0},
        {"expires_at_s": 2**40},
        {"mandate_id": str(uuid.uuid4()).upper()},
        {"payee": "0x12"},
        {"approval": None},
        {"more": 1},
    ):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(good | spoilt, MandateRegistration)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"mandate_ids": []}, MandateRevocations)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["pay", "pay", "pay", "batch", "revoke", "restart"]),
        st.integers(0, 2),
        st.integers(1, 700),
        st.integers(-40, 40).map(lambda half_days: half_days * 43_200),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_no_history_spends_more_than_a_mandates_cap_in_a_period(
    steps: list[tuple[str, int, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Clocks go forwards and backwards, requests are repeated, mandates revoked and the node restarted."""
    desk = Desk(tmp_path_factory.mktemp("history"))
    desk.create()
    periods: tuple[Period, ...] = ("day", "week", "month")
    mandates = {place: new_id() for place in range(3)}
    for place, mandate_id in mandates.items():
        assert desk.register(mandate(mandate_id, period=periods[place])) == "new"
    spent: dict[tuple[int, int], int] = defaultdict(int)
    seen_s, revoked = NOW_S, set()
    for verb, place, amount, step_s in steps:
        desk.now_s = max(NOW_S, desk.now_s + step_s)
        mandate_id = mandates[place]
        if verb == "restart":
            desk.reopen()
        elif verb == "revoke":
            desk.revoke(mandate_id)
            revoked.add(place)
            seen_s = max(seen_s, desk.journal.now_s(0))
        else:
            view = desk.load(*mandates.values())
            for part in (amount, amount // 2 + 1) if verb == "batch" else (amount,):
                decided = decide_proof(new_id(), paid(part), by_mandate(mandate_id), view, TERMS)
                if isinstance(decided, Proved):
                    assert place not in revoked
                    decided.record(view)
                    seen_s = max(seen_s, desk.now_s)
                    spent[place, period_start_s(periods[place], seen_s)] += part
            desk.write(view)
    assert all(amount <= 1_000 for amount in spent.values())
    stored = desk.store.query("SELECT mandate_id, period_start_s, spent_minor FROM mandate_spending")
    names = {mandate_id: place for place, mandate_id in mandates.items()}
    assert {(names[row[0]], row[1]): row[2] for row in stored} == spent
    desk.store.close()
