"""Structures of the closed set: who signs them under which nonce, and that an id has one content for ever."""

import uuid
from typing import Any

import pytest
from eth_account import Account
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from node_builders import (
    CONTRACT,
    DOMAIN,
    INSTITUTION_SECRET,
    NOW_S,
    STRANGER,
    VALID_BEFORE_S,
    Home,
    batch,
    codes,
    customers,
    payment,
)
from node_builders import sign as pay
from policy_builders import bundled
from typed_data_requests import (
    asking,
    authorization,
    cancellation,
    fan_out,
    intent_of,
    move,
    packed,
    permit,
    policy_text,
    recoverable,
    refused,
    sign,
    signed_by,
)

from wallet_node.errors import JournalUnavailable
from wallet_node.journal.entries import Signed, TypedDataSigned, decode
from wallet_node.journal.verification import verify_file
from wallet_node.node import WalletNode
from wallet_node.web3signer.typed_documents import document_of

BANK = Account.from_key(INSTITUTION_SECRET)
KINDS = {
    "fan-out": fan_out,
    "permit": permit,
    "transfer": authorization,
    "receive": lambda by, **changes: authorization(by, "Receive", **changes),
    "cancellation": cancellation,
    "move": move,
}
COUNTED = {name: KINDS[name] for name in ("fan-out", "permit", "move")}
RANDOM = {name: KINDS[name] for name in ("transfer", "receive", "cancellation")}
UNTIL = {"fan-out": "valid_before_s", "permit": "deadline_s", "move": "valid_before_s"}


@pytest.fixture
def node(home: Home) -> WalletNode:
    return home.open(policy_text())


@pytest.fixture
def payer(node: WalletNode) -> str:
    return customers(node, 3)[0].lower()


def rows(node: WalletNode) -> list[Any]:
    """Every decision of the journal."""
    stored = node._store.query("SELECT entry, sequence FROM journal ORDER BY sequence")
    return [decode(entry, sequence).decision for entry, sequence in stored]


def signatures(node: WalletNode) -> list[Signed]:
    return [row for row in rows(node) if isinstance(row, Signed)]


# --- signatures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_structure_is_signed_by_its_account_as_eth_account_signs_it(node: WalletNode, kind: str) -> None:
    request = asking(KINDS[kind](BANK.address.lower()))
    answer = sign(node, request)
    theirs = BANK.sign_typed_data(full_message=document_of(intent_of(request, answer), DOMAIN))
    assert recoverable(answer)[:64].hex() == f"{theirs.r:064x}{theirs.s:064x}"
    assert recoverable(answer)[64] == theirs.v - 27
    if kind == "fan-out":
        assert (answer["encoding"], len(answer["signature"])) == ("eip-2098", 2 + 128)
    else:
        assert answer["encoding"] == "r-s-v"
        assert answer["signature"] == "0x" + theirs.signature.hex()


@pytest.mark.parametrize("kind", KINDS)
def test_a_customers_key_signs_too_and_the_journal_says_what(node: WalletNode, payer: str, kind: str) -> None:
    request = asking(KINDS[kind](payer))
    answer = sign(node, request)
    assert signed_by(request, answer) == payer
    (row,) = signatures(node)
    assert isinstance(row, TypedDataSigned)
    assert (row.form, row.content.signer.hex()) == (request["intent"]["type"], payer[2:])
    assert row.nonce == answer["nonce"] or "0x" + row.nonce.hex() == answer["nonce"]
    assert node.signatures["typed-data"] == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_request_gives_the_same_answer_and_no_row_also_after_a_restart(
    home: Home, kind: str
) -> None:
    node = home.open(policy_text())
    request = asking(KINDS[kind](BANK.address.lower()))
    first = sign(node, request)
    sign(node, asking(permit(BANK.address.lower())))
    length = len(rows(node))
    assert sign(node, request) == first
    node = home.open(policy_text())
    home.clock.now_s += 10_000  # long after it was good for anything
    assert sign(node, request) == first
    assert len(rows(node)) == length


def test_a_journal_with_every_kind_holds_together(home: Home) -> None:
    node = home.open(policy_text())
    payer = customers(node, 1)[0]
    for kind in ("fan-out", "permit", "transfer", "cancellation", "move"):
        sign(node, asking(KINDS[kind](payer)))
        refused(node, asking(KINDS[kind](STRANGER)))
    pay(node, batch(payment(payer)))
    root = node.journal()["root"]
    home.close()
    verified = verify_file(home.path / "journal.sqlite3", {})
    assert ("0x" + verified.root.hex(), verified.rows) == (root, 11)


# --- counted nonces -----------------------------------------------------------------------------------------


def test_fan_outs_and_moves_share_the_row_of_payments_and_permits_have_their_own(
    node: WalletNode, payer: str
) -> None:
    given = [
        pay(node, batch(payment(payer)))[0]["nonce"],
        sign(node, asking(fan_out(payer)))["nonce"],
        sign(node, asking(permit(payer)))["nonce"],
        sign(node, asking(move(payer)))["nonce"],
        sign(node, asking(permit(payer)))["nonce"],
        pay(node, batch(payment(payer)))[0]["nonce"],
    ]
    assert given == [0, 1, 0, 2, 1, 3]


@pytest.mark.parametrize("kind", COUNTED)
def test_the_intents_nonce_is_a_floor_as_is_the_requests(node: WalletNode, payer: str, kind: str) -> None:
    assert sign(node, asking(COUNTED[kind](payer, nonce=3)))["nonce"] == 3
    assert sign(node, asking(COUNTED[kind](payer, nonce=1)))["nonce"] == 4
    assert sign(node, asking(COUNTED[kind](payer), nonce_floor=7))["nonce"] == 7
    assert refused(node, asking(COUNTED[kind](payer, nonce=19))) == ["NonceFloorTooFar"]
    assert sign(node, asking(COUNTED[kind](payer, nonce=18)))["nonce"] == 18


@pytest.mark.parametrize("kind", COUNTED)
def test_a_later_attempt_keeps_the_nonce_and_lasts_longer(
    home: Home, node: WalletNode, payer: str, kind: str
) -> None:
    intent_id, build, until = str(uuid.uuid4()), COUNTED[kind], UNTIL[kind]
    first = sign(node, asking(build(payer), intent_id=intent_id))
    sign(node, asking(build(payer)))

    def again(attempt: int, until_s: int) -> dict[str, Any]:
        # whatever floor is named now: the nonce is given
        return asking(build(payer, nonce=9, **{until: until_s}), intent_id=intent_id, attempt=attempt)

    assert refused(node, again(1, VALID_BEFORE_S - 1)) == ["AttemptReused"]
    assert refused(node, again(2, VALID_BEFORE_S)) == ["ValidBeforeNotLater"]
    home.clock.now_s += 60
    raised = sign(node, again(2, VALID_BEFORE_S + 60))
    assert raised["nonce"] == first["nonce"] == 0
    assert raised["signature"] != first["signature"]
    assert signed_by(again(2, VALID_BEFORE_S + 60), raised) == payer
    assert refused(node, again(3, VALID_BEFORE_S + 61)) == ["ValidBeforeTooFar"]
    assert sign(node, asking(build(payer), intent_id=intent_id)) == first
    assert [row.attempt for row in signatures(node)] == [1, 1, 2]


@pytest.mark.parametrize("kind", COUNTED)
def test_attempts_come_in_order(node: WalletNode, payer: str, kind: str) -> None:
    intent_id = str(uuid.uuid4())
    sign(node, asking(COUNTED[kind](payer, **{UNTIL[kind]: NOW_S + 10}), intent_id=intent_id, attempt=5))
    assert refused(node, asking(COUNTED[kind](payer), intent_id=intent_id, attempt=4)) == [
        "AttemptOutOfOrder"
    ]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("fan-out", {"payments": packed((STRANGER, 101))}),
        ("fan-out", {"payments": packed((STRANGER, 50), (STRANGER, 50))}),
        ("permit", {"amount_minor": 101}),
        ("permit", {"spender": CONTRACT}),
        ("move", {"participant": 3}),
        ("move", {"tier": 2}),
        ("move", {"is_linked": True}),
    ],
)
def test_an_id_stands_for_one_content_of_one_account(
    node: WalletNode, payer: str, kind: str, changes: dict[str, Any]
) -> None:
    intent_id, build = str(uuid.uuid4()), COUNTED[kind]
    first = sign(node, asking(build(payer), intent_id=intent_id))
    for other in (build(payer, **changes), build(BANK.address.lower())):
        for attempt in (1, 2):
            request = asking(other, intent_id=intent_id, attempt=attempt)
            assert refused(node, request) == ["IntentIdReused"]
    assert sign(node, asking(build(payer), intent_id=intent_id)) == first


@pytest.mark.parametrize("kind", KINDS)
def test_an_id_is_one_kinds(node: WalletNode, payer: str, kind: str) -> None:
    intent_id = str(uuid.uuid4())
    sign(node, asking(KINDS[kind](payer), intent_id=intent_id))
    for name, build in KINDS.items():
        if name != kind:
            (code,) = refused(node, asking(build(payer), intent_id=intent_id))
            assert code == ("AuthorizationIdReused" if name in RANDOM else "IntentIdReused")
    (answer,) = pay(node, batch(payment(payer, payment_id=intent_id)))
    assert codes(answer) == ["PaymentIdReused"]
    paid = payment(payer)
    pay(node, batch(paid))
    assert len(refused(node, asking(KINDS[kind](payer), intent_id=paid["payment_id"]))) == 1
    assert len(signatures(node)) == 2


# --- random nonces ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", RANDOM)
def test_a_random_nonce_belongs_to_one_id_for_ever(home: Home, kind: str) -> None:
    node = home.open(policy_text())
    payer, other, _ = customers(node, 3)
    request = asking(RANDOM[kind](payer))
    first = sign(node, request)
    assert first["nonce"] == request["intent"]["nonce"]
    node = home.open(policy_text())
    assert refused(node, asking(RANDOM[kind](payer))) == ["NonceTaken"]
    assert signed_by(asking(RANDOM[kind](other)), sign(node, asking(RANDOM[kind](other)))) == other.lower()
    changed = RANDOM[kind](payer, nonce="0x" + "c3" * 32)
    assert refused(node, {**request, "intent": changed}) == ["AuthorizationIdReused"]
    assert sign(node, request) == first


def test_transfers_and_receipts_share_their_nonces_and_cancellations_have_their_own(
    node: WalletNode, payer: str
) -> None:
    sign(node, asking(authorization(payer)))
    assert refused(node, asking(authorization(payer, "Receive"))) == ["NonceTaken"]
    sign(node, asking(cancellation(payer)))
    assert refused(node, asking(cancellation(payer))) == ["NonceTaken"]
    assert [row.space.name for row in signatures(node)] == ["authorization", "cancellation"]


@pytest.mark.parametrize("kind", RANDOM)
def test_what_has_a_random_nonce_has_one_attempt_and_no_floor(
    node: WalletNode, payer: str, kind: str
) -> None:
    assert refused(node, asking(RANDOM[kind](payer), attempt=2)) == ["AttemptNotExpected"]
    assert refused(node, asking(RANDOM[kind](payer), nonce_floor=1)) == ["NonceFloorNotExpected"]
    request = asking(RANDOM[kind](payer))
    sign(node, request)
    assert refused(node, {**request, "attempt": 2}) == ["AttemptNotExpected"]


@pytest.mark.parametrize(
    "changes",
    [{"payee": CONTRACT}, {"amount_minor": 99}, {"valid_after_s": 1}, {"valid_before_s": VALID_BEFORE_S - 1}],
    ids=str,
)
def test_an_authorizations_times_are_of_its_content(
    node: WalletNode, payer: str, changes: dict[str, Any]
) -> None:
    request = asking(authorization(payer))
    sign(node, request)
    again = {**request, "intent": authorization(payer, **changes)}
    assert refused(node, again) == ["AuthorizationIdReused"]


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (fan_out(STRANGER), "UnknownPayer"),
        (permit(STRANGER), "UnknownPayer"),
        (cancellation(STRANGER), "UnknownPayer"),
        (fan_out(BANK.address, (STRANGER, 0)), "ZeroAmount"),
        (fan_out(BANK.address, (STRANGER, 1), (BANK.address, 1)), "SelfPayment"),
        (authorization(BANK.address, amount_minor=0), "ZeroAmount"),
        (authorization(BANK.address, payee=BANK.address), "SelfPayment"),
        (authorization(BANK.address, valid_after_s=VALID_BEFORE_S - 1), "NeverValid"),
        (fan_out(BANK.address, valid_before_s=VALID_BEFORE_S + 1), "ValidBeforeTooFar"),
        (permit(BANK.address, deadline_s=VALID_BEFORE_S + 1), "ValidBeforeTooFar"),
        (authorization(BANK.address, valid_before_s=VALID_BEFORE_S + 1), "ValidBeforeTooFar"),
        (move(BANK.address, valid_before_s=VALID_BEFORE_S + 1), "ValidBeforeTooFar"),
    ],
    ids=lambda each: each if isinstance(each, str) else each["type"],
)
def test_what_is_refused_first_is_refused_for_ever(home: Home, intent: dict[str, Any], code: str) -> None:
    node = home.open(policy_text())
    request = asking(intent)
    assert refused(node, request) == [code]
    length = len(rows(node))
    home.clock.now_s += 60
    node = home.open(policy_text())
    assert refused(node, request) == [code]
    assert refused(node, {**request, "intent": permit(BANK.address)}) == [code]
    assert len(rows(node)) == length


def test_every_reason_is_told(node: WalletNode) -> None:
    by = BANK.address.lower()
    request = asking(fan_out(by, (by, 0), valid_before_s=VALID_BEFORE_S + 1, nonce=500))
    assert set(refused(node, request)) == {
        "ZeroAmount",
        "SelfPayment",
        "ValidBeforeTooFar",
        "NonceFloorTooFar",
    }


@pytest.mark.parametrize("name", ["sandbox-bank", "sandbox-central-bank"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "fan-out"])
def test_the_bundled_policies_allow_none_but_customers_fan_outs(home: Home, name: str, kind: str) -> None:
    node = home.open(bundled(name).source)
    signers = [BANK.address.lower()]
    if name == "sandbox-bank":
        signers += customers(node, 1)
    for by in signers:
        assert "NoRuleAllows" in refused(node, asking(KINDS[kind](by)))
    assert "NoRuleAllows" in refused(node, asking(fan_out(BANK.address.lower())))
    assert signatures(node) == []


def test_a_store_that_cannot_be_written_signs_nothing(node: WalletNode, payer: str) -> None:
    request = asking(fan_out(payer))
    node._store.connection.execute("PRAGMA query_only = ON")
    with pytest.raises(JournalUnavailable):
        sign(node, request)
    node._store.connection.execute("PRAGMA query_only = OFF")
    assert signatures(node) == []
    assert sign(node, request)["nonce"] == 0


# --- histories ----------------------------------------------------------------------------------------------


STEP = st.tuples(
    st.sampled_from(list(KINDS)), st.integers(0, 3), st.integers(1, 2), st.integers(0, 2), st.integers(0, 1)
)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, max_size=14))
def test_in_any_history_a_nonce_has_one_content_and_the_answer_to_a_request_never_changes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int, int, int]]
) -> None:
    home = Home(tmp_path_factory.mktemp("home", numbered=True)).bind()
    node = home.open(policy_text())
    payer = customers(node, 1)[0]
    answers: dict[str, Any] = {}
    for kind, number, attempt, variant, nonce in steps:
        changes: dict[str, Any] = {"nonce": f"0x{nonce:064x}" if kind in RANDOM else nonce}
        if kind in UNTIL:
            changes[UNTIL[kind]] = VALID_BEFORE_S - 10 + 5 * variant
        request = asking(KINDS[kind](payer, **changes), intent_id=str(uuid.UUID(int=number)), attempt=attempt)
        try:
            answer = sign(node, request)["signature"]
        except Exception as refusal:
            answer = str(refusal)
        before = answers.setdefault(str(request), answer)
        assert before == answer or not before.startswith("0x")  # a refused attempt's time may come
    contents: dict[Any, set[Any]] = {}
    for row in signatures(node):
        contents.setdefault((row.space, row.content.signer, row.nonce), set()).add(row.content)
    assert all(len(found) == 1 for found in contents.values())
    home.close()
    verify_file(home.path / "journal.sqlite3", {})
