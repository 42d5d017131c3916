"""The notary: who may anchor what, what is kept, and what can be read and proved of it. Tree: notary.tree."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from contracts import abi, notary
from contracts.abi import AccountFlag, UnknownEvent
from contracts.local_evm import Outcome
from contracts.merkle import inclusion_proof, leaf_hash, root_of
from contracts.notary import LEDGER_LOG, SIGNER_LOG, Anchor, AnchorCall, Anchored
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    DEPLOYER,
    GOVERNOR,
    ISSUER,
    NOBODY,
    PAUSER,
    STRANGER,
    UPGRADER,
    Person,
    Refused,
    World,
)

DAY_S = 86_400
ROOT, OTHER_ROOT = bytes([1] * 32), bytes([2] * 32)
SUSPENDED = 128
MAY_ANCHOR = {"bank": BANK_A.address, "issuer": ISSUER, "governor": GOVERNOR}
MAY_NOT = {
    "customer": ALICE.address,
    "stranger": STRANGER.address,
    "pauser": PAUSER,
    "upgrader": UPGRADER,
    "deployer": DEPLOYER,
    "nobody": NOBODY,
    "zero": bytes(20),
}


@dataclass
class Desk:
    """A notary for the currency of a world."""

    world: World
    address: bytes

    @staticmethod
    def opened(world: World) -> "Desk":
        creation = world.evm.send(DEPLOYER, b"", notary.creation_code(world.currency))
        assert creation.is_success
        return Desk(world, creation.created)

    def send(self, sender: bytes, data: bytes, value: int = 0) -> Outcome:
        return self.world.evm.send(sender, self.address, data, value)

    def anchor(self, sender: bytes, size: int, root: bytes = ROOT, log: bytes = LEDGER_LOG) -> Anchored:
        """Anchor, and return the one event. Raises Refused."""
        outcome = self.send(sender, notary.encode_anchor(log, size, root))
        if not outcome.is_success:
            raise Refused(*abi.decode_revert(outcome.returned))
        assert [each["address"] for each in outcome.logs] == ["0x" + self.address.hex()]
        (event,) = notary.decode_notary_logs(outcome.logs)
        return event

    def read(self, data: bytes) -> bytes:
        outcome = self.world.evm.call(self.address, data)
        if not outcome.is_success:
            raise Refused(*abi.decode_revert(outcome.returned))
        return outcome.returned

    def kept(self, institution: bytes, log: bytes = LEDGER_LOG) -> list[Anchor]:
        count = abi.decode_uint(self.read(notary.encode_anchor_count(institution, log)))
        found = notary.decode_anchors(self.read(notary.encode_anchors(institution, log, 0, count)))
        assert len(found) == count
        return found

    def of_day(self, institution: bytes, day: int) -> tuple[int, Anchor]:
        returned = self.read(notary.encode_anchor_of_day(institution, LEDGER_LOG, day))
        return notary.decode_anchor_of_day(returned)

    def verifies(self, index: int, place: int, hashed_leaf: bytes, proof: list[bytes]) -> bool:
        data = notary.encode_verify(
            BANK_A.address, LEDGER_LOG, index, leaf_index=place, hashed_leaf=hashed_leaf, proof=proof
        )
        return bool(abi.decode_uint(self.read(data)))

    def fingerprint(self) -> bytes:
        return self.world.evm.storage_root(self.address)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk.opened(world)


# ------------------------------------------------------------------------------------------ an anchor


@pytest.mark.parametrize("caller", sorted(MAY_ANCHOR))
@pytest.mark.parametrize("log", [LEDGER_LOG, SIGNER_LOG, bytes(32)], ids=["ledger", "signer", "nameless"])
def test_an_institution_anchors_and_it_is_kept_and_told(desk: Desk, caller: str, log: bytes) -> None:
    sender = MAY_ANCHOR[caller]
    event = desk.anchor(sender, 3, ROOT, log)
    assert (event.institution, event.log, event.index) == (sender, log, 0)
    assert (event.size, event.root) == (3, ROOT)
    assert desk.kept(sender, log) == [Anchor(ROOT, 3, desk.world.evm.time_s)]


@pytest.mark.parametrize("flag", [AccountFlag.FROZEN, SUSPENDED, AccountFlag.CLOSED])
def test_an_institution_that_may_not_pay_still_anchors(desk: Desk, flag: int) -> None:
    account = desk.world.account(BANK_A)
    desk.world.set_account(BANK_A, flags=account.flags | flag)
    assert desk.anchor(BANK_A.address, 3).index == 0


@pytest.mark.parametrize("caller", sorted(MAY_NOT))
def test_everybody_else_is_refused(desk: Desk, caller: str) -> None:
    before = desk.fingerprint()
    with pytest.raises(Refused) as refusal:
        desk.anchor(MAY_NOT[caller], 3)
    assert refusal.value.code == "NotAnInstitution"
    assert refusal.value.arguments == {"caller": MAY_NOT[caller]}
    assert desk.fingerprint() == before


def test_the_currency_itself_may_not_anchor(desk: Desk) -> None:
    with pytest.raises(Refused, match="NotAnInstitution"):
        desk.anchor(desk.world.currency, 3)


def test_who_was_replaced_may_not_and_who_replaced_it_may(desk: Desk) -> None:
    desk.anchor(BANK_A.address, 3)
    desk.world.do(GOVERNOR, abi.encode_set_participant(1, STRANGER.address, 0, 0b110))
    with pytest.raises(Refused, match="NotAnInstitution"):
        desk.anchor(BANK_A.address, 4)
    assert desk.anchor(STRANGER.address, 1).index == 0
    assert desk.kept(BANK_A.address) == [Anchor(ROOT, 3, desk.world.evm.time_s)]


@pytest.mark.parametrize(("role", "holder"), [("GOVERNOR", GOVERNOR), ("ISSUER", ISSUER)])
def test_who_gave_a_role_away_may_not_and_who_took_it_may(desk: Desk, role: str, holder: bytes) -> None:
    desk.world.do(holder, abi.encode_offer_role(abi.ROLES[role], NOBODY))
    with pytest.raises(Refused, match="NotAnInstitution"):
        desk.anchor(NOBODY, 1)
    desk.world.do(NOBODY, abi.encode_accept_role(abi.ROLES[role]))
    assert desk.anchor(NOBODY, 1).index == 0
    with pytest.raises(Refused, match="NotAnInstitution"):
        desk.anchor(holder, 1)


@pytest.mark.parametrize(("size", "root"), [(0, ROOT), (3, bytes(32)), (0, bytes(32))])
@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_an_anchor_of_nothing_is_refused(desk: Desk, size: int, root: bytes, is_first: bool) -> None:
    if not is_first:
        desk.anchor(BANK_A.address, 2)
    before = desk.fingerprint()
    with pytest.raises(Refused) as refusal:
        desk.anchor(BANK_A.address, size, root)
    assert refusal.value.code == "EmptyAnchor"
    assert refusal.value.arguments == {"log": LEDGER_LOG, "size": size, "root": root}
    assert desk.fingerprint() == before


@pytest.mark.parametrize("size", [1, 2**64 - 1])
def test_a_first_anchor_may_have_any_size(desk: Desk, size: int) -> None:
    assert desk.anchor(BANK_A.address, size).size == size


@pytest.mark.parametrize("root", [ROOT, OTHER_ROOT])
def test_more_leaves_are_kept_whatever_their_root(desk: Desk, root: bytes) -> None:
    desk.anchor(BANK_A.address, 3)
    assert desk.anchor(BANK_A.address, 4, root).index == 1
    assert [each.size for each in desk.kept(BANK_A.address)] == [3, 4]


REFUSED_AFTER = [
    ("fewer leaves", 2, ROOT, "LogShrunk", {"anchoredSize": 3, "size": 2}),
    ("fewer leaves, another root", 2, OTHER_ROOT, "LogShrunk", {"anchoredSize": 3, "size": 2}),
    ("another root", 3, OTHER_ROOT, "AnchorDiffers", {"size": 3, "anchoredRoot": ROOT, "root": OTHER_ROOT}),
    ("an equal repeat", 3, ROOT, "AlreadyAnchored", {"size": 3}),
]


@pytest.mark.parametrize(
    ("size", "root", "code", "arguments"),
    [row[1:] for row in REFUSED_AFTER],
    ids=[row[0] for row in REFUSED_AFTER],
)
def test_what_does_not_follow_is_refused(
    desk: Desk, size: int, root: bytes, code: str, arguments: dict[str, Any]
) -> None:
    desk.anchor(BANK_A.address, 3)
    before = desk.fingerprint()
    with pytest.raises(Refused) as refusal:
        desk.anchor(BANK_A.address, size, root)
    assert (refusal.value.code, refusal.value.arguments) == (code, {"log": LEDGER_LOG, **arguments})
    assert desk.fingerprint() == before
    assert desk.anchor(BANK_A.address, 4).index == 1


def test_one_log_and_one_institution_know_nothing_of_the_others(desk: Desk) -> None:
    desk.anchor(BANK_A.address, 9)
    desk.anchor(BANK_A.address, 3, log=SIGNER_LOG)
    desk.anchor(BANK_B.address, 1, OTHER_ROOT)
    now_s = desk.world.evm.time_s
    assert desk.kept(BANK_A.address) == [Anchor(ROOT, 9, now_s)]
    assert desk.kept(BANK_A.address, SIGNER_LOG) == [Anchor(ROOT, 3, now_s)]
    assert desk.kept(BANK_B.address) == [Anchor(OTHER_ROOT, 1, now_s)]


# ------------------------------------------------------------------------------------------ reading


def test_anchors_are_read_from_a_place_on_and_none_beyond_the_last(desk: Desk) -> None:
    for size in range(1, 6):
        desk.anchor(BANK_A.address, size)

    def sizes(first: int, count: int) -> list[int]:
        data = notary.encode_anchors(BANK_A.address, LEDGER_LOG, first, count)
        return [each.size for each in notary.decode_anchors(desk.read(data))]

    assert sizes(0, 5) == [1, 2, 3, 4, 5]
    assert sizes(1, 2) == [2, 3]
    assert sizes(4, 2**256 - 1) == [5]
    assert sizes(5, 1) == sizes(2**256 - 1, 2**256 - 1) == sizes(2, 0) == []
    assert desk.kept(BANK_A.address, bytes(32)) == desk.kept(NOBODY) == []


def test_a_days_anchor_is_its_last(desk: Desk) -> None:
    today = desk.world.evm.time_s // DAY_S + 1
    times = [
        today * DAY_S,
        today * DAY_S + 1,
        (today + 1) * DAY_S - 1,
        (today + 1) * DAY_S,
        (today + 4) * DAY_S + 7,
    ]
    for size, time_s in enumerate(times, start=1):
        desk.world.evm.set_time(time_s)
        desk.anchor(BANK_A.address, size)
    assert desk.of_day(BANK_A.address, today) == (2, Anchor(ROOT, 3, times[2]))
    assert desk.of_day(BANK_A.address, today + 1) == (3, Anchor(ROOT, 4, times[3]))
    assert desk.of_day(BANK_A.address, today + 4) == (4, Anchor(ROOT, 5, times[4]))
    for day in (0, today - 1, today + 2, today + 3, today + 5, 2**256 - 1):
        with pytest.raises(Refused) as refusal:
            desk.of_day(BANK_A.address, day)
        assert refusal.value.code == "NothingAnchored"
        assert refusal.value.arguments == {"institution": BANK_A.address, "log": LEDGER_LOG, "day": day}
    with pytest.raises(Refused, match="NothingAnchored"):
        desk.of_day(BANK_B.address, today)


SIZES = (1, 2, 3, 4, 5, 7, 8, 9, 13)
LEAVES = [leaf_hash(bytes([place])) for place in range(max(SIZES))]


def test_every_place_of_every_size_is_proved_and_no_other(desk: Desk) -> None:
    for index, size in enumerate(SIZES):
        desk.anchor(BANK_A.address, size, root_of(LEAVES[:size]))
        for place in range(size):
            proof = inclusion_proof(LEAVES[:size], place)
            assert desk.verifies(index, place, LEAVES[place], proof)
            assert not desk.verifies(index, place + 1, LEAVES[place], proof)
            assert not desk.verifies(index, size, LEAVES[place], proof)
            assert not desk.verifies(index, place, leaf_hash(b"another"), proof)
            assert not desk.verifies(index, place, LEAVES[place], [*proof, bytes(32)])
            if proof:
                assert not desk.verifies(index, place, LEAVES[place], proof[:-1])
                assert not desk.verifies(index, place, LEAVES[place], [*proof[:-1], bytes(32)])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(contents=st.lists(st.binary(max_size=8), min_size=1, max_size=90), data=st.data())
def test_a_proof_of_python_is_a_proof_to_the_contract(
    world: World, contents: list[bytes], data: st.DataObject
) -> None:
    desk = Desk.opened(world)
    hashed = list(map(leaf_hash, contents))
    place = data.draw(st.integers(0, len(hashed) - 1))
    desk.anchor(BANK_A.address, len(hashed), root_of(hashed))
    proof = inclusion_proof(hashed, place)
    assert desk.verifies(0, place, hashed[place], proof)
    bent = data.draw(st.integers(0, len(proof)))
    if bent < len(proof):
        wrong = [*proof[:bent], leaf_hash(proof[bent]), *proof[bent + 1 :]]
        assert not desk.verifies(0, place, hashed[place], wrong)


def test_a_proof_in_an_anchor_that_is_not_there_is_refused(desk: Desk) -> None:
    desk.anchor(BANK_A.address, 1, LEAVES[0])
    assert desk.verifies(0, 0, LEAVES[0], [])
    for index in (1, 2**256 - 1):
        with pytest.raises(Refused) as refusal:
            desk.verifies(index, 0, LEAVES[0], [])
        assert refusal.value.code == "UnknownAnchor"
        assert (refusal.value.arguments["index"], refusal.value.arguments["count"]) == (index, 1)


# ------------------------------------------------------------------------------------------ creation


@pytest.mark.parametrize("currency", [NOBODY, bytes(20), ALICE.address])
def test_a_notary_for_no_contract_is_not_created(world: World, currency: bytes) -> None:
    outcome = world.evm.send(DEPLOYER, b"", notary.creation_code(currency))
    assert not outcome.is_success
    assert abi.decode_revert(outcome.returned) == ("CurrencyWithoutCode", {"currency": currency})


def test_it_knows_its_currency_and_nothing_else_changes_it(desk: Desk) -> None:
    assert desk.read(notary.encode_currency())[12:] == desk.world.currency
    functions = [entry for entry in abi.load_abi("Notary") if entry["type"] == "function"]
    changing = {entry["name"] for entry in functions if entry["stateMutability"] not in ("view", "pure")}
    assert changing == {"anchor"}
    assert {entry["stateMutability"] for entry in functions} <= {"view", "nonpayable"}


def test_it_takes_no_ether(desk: Desk) -> None:
    before = desk.fingerprint()
    assert not desk.send(BANK_A.address, b"", value=1).is_success
    assert not desk.send(BANK_A.address, notary.encode_anchor(LEDGER_LOG, 1, ROOT), value=1).is_success
    assert desk.fingerprint() == before


# ------------------------------------------------------------------------------------------ random histories

HISTORIC = World()
HISTORIC_DESK = Desk.opened(HISTORIC)
START = HISTORIC.evm.snapshot()
WRITERS = (BANK_A.address, BANK_B.address, ISSUER, GOVERNOR, ALICE.address, NOBODY)


class History(RuleBasedStateMachine):
    """What a diligent observer would hold, from events alone, beside the contract."""

    @initialize()
    def begin(self) -> None:
        HISTORIC.evm.revert(START)
        self.observed: dict[tuple[bytes, bytes], list[Anchor]] = defaultdict(list)

    @rule(
        writer=st.sampled_from(WRITERS),
        log=st.sampled_from([LEDGER_LOG, SIGNER_LOG]),
        size=st.integers(0, 6),
        root=st.sampled_from([bytes(32), ROOT, OTHER_ROOT]),
    )
    def anchor(self, writer: bytes, log: bytes, size: int, root: bytes) -> None:
        before = HISTORIC_DESK.fingerprint()
        try:
            event = HISTORIC_DESK.anchor(writer, size, root, log)
        except Refused:
            assert HISTORIC_DESK.fingerprint() == before
            return
        kept = self.observed[event.institution, event.log]
        assert event.index == len(kept)
        kept.append(Anchor(event.root, event.size, HISTORIC.evm.time_s))

    @rule(hours=st.integers(0, 40))
    def wait(self, hours: int) -> None:
        HISTORIC.evm.set_time(HISTORIC.evm.time_s + 3600 * hours)

    @rule(bank=st.sampled_from([BANK_A, BANK_B]))
    def mark(self, bank: Person) -> None:
        HISTORIC.mark(bank, AccountFlag.FROZEN)

    @invariant()
    def the_events_tell_what_is_kept(self) -> None:
        for writer in WRITERS:
            for log in (LEDGER_LOG, SIGNER_LOG):
                assert HISTORIC_DESK.kept(writer, log) == self.observed.get((writer, log), [])

    @invariant()
    def sizes_and_times_never_fall_and_a_size_has_one_root(self) -> None:
        for kept in self.observed.values():
            for earlier, later in pairwise(kept):
                assert earlier.size < later.size
                assert earlier.time_s <= later.time_s

    @invariant()
    def only_institutions_are_kept(self) -> None:
        assert {writer for writer, _ in self.observed} <= {BANK_A.address, BANK_B.address, ISSUER, GOVERNOR}


TestHistory = History.TestCase
TestHistory.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


# ------------------------------------------------------------------------------------------ Python side

ADDRESSES = st.binary(min_size=20, max_size=20)
WORDS = st.binary(min_size=32, max_size=32)
UINT64, UINT256 = st.integers(0, 2**64 - 1), st.integers(0, 2**256 - 1)


@settings(max_examples=40, deadline=None)
@given(
    who=ADDRESSES, log=WORDS, root=WORDS, size=UINT64, a=UINT256, b=UINT256, proof=st.lists(WORDS, max_size=4)
)
def test_call_data_equals_eth_abis(
    who: bytes, log: bytes, root: bytes, size: int, a: int, b: int, proof: list[bytes]
) -> None:
    selectors = notary.SELECTORS
    address = "0x" + who.hex()
    anchoring = notary.encode_anchor(log, size, root)
    assert anchoring == selectors[notary.ANCHOR_SIGNATURE] + encode(
        ["bytes32", "uint64", "bytes32"], [log, size, root]
    )
    assert notary.decode_anchor(anchoring) == AnchorCall(log, size, root)
    assert notary.encode_anchor_count(who, log) == selectors["anchorCount(address,bytes32)"] + encode(
        ["address", "bytes32"], [address, log]
    )
    assert notary.encode_anchors(who, log, a, b) == selectors[
        "anchors(address,bytes32,uint256,uint256)"
    ] + encode(["address", "bytes32", "uint256", "uint256"], [address, log, a, b])
    assert notary.encode_anchor_of_day(who, log, a) == selectors[
        "anchorOfDay(address,bytes32,uint256)"
    ] + encode(["address", "bytes32", "uint256"], [address, log, a])
    assert notary.encode_verify(who, log, a, leaf_index=b, hashed_leaf=root, proof=proof) == selectors[
        "verify(address,bytes32,uint256,uint256,bytes32,bytes32[])"
    ] + encode(
        ["address", "bytes32", "uint256", "uint256", "bytes32", "bytes32[]"],
        [address, log, a, b, root, proof],
    )


@given(found=st.lists(st.tuples(WORDS, UINT64, UINT64), max_size=4), index=UINT256)
def test_answers_equal_eth_abis(found: list[tuple[bytes, int, int]], index: int) -> None:
    returned = encode(["(bytes32,uint64,uint64)[]"], [found])
    assert notary.decode_anchors(returned) == [Anchor(*each) for each in found]
    for each in found:
        returned = encode(["uint256", "(bytes32,uint64,uint64)"], [index, each])
        assert notary.decode_anchor_of_day(returned) == (index, Anchor(*each))


def test_an_event_equals_eth_abis(desk: Desk) -> None:
    outcome = desk.send(BANK_A.address, notary.encode_anchor(LEDGER_LOG, 7, ROOT))
    (log,) = outcome.logs
    assert decode(["uint64", "bytes32"], bytes.fromhex(log["data"][2:])) == (7, ROOT)
    with pytest.raises(UnknownEvent):
        notary.decode_notary_logs([{**log, "topics": ["0x" + "77" * 32, *log["topics"][1:]]}])
    with pytest.raises(UnknownEvent):
        notary.decode_notary_logs([{**log, "topics": []}])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="64 bits"):
        notary.encode_anchor(LEDGER_LOG, 2**64, ROOT)
    with pytest.raises(ValueError, match="32 bytes"):
        notary.encode_anchor(b"ledger", 1, ROOT)
    with pytest.raises(ValueError, match="20 bytes"):
        notary.encode_anchor_count(ROOT, LEDGER_LOG)
    for wrong in (b"", bytes(63), bytes(31) + b"\x20" + bytes(31) + b"\x01" + bytes(95)):
        with pytest.raises(ValueError, match="bytes returned"):
            notary.decode_anchors(wrong)
    with pytest.raises(ValueError, match="bytes returned"):
        notary.decode_anchor_of_day(bytes(127))


def test_only_an_anchor_call_is_read_as_one() -> None:
    call = notary.encode_anchor(LEDGER_LOG, 1, ROOT)
    oversized = call[:36] + (2**64).to_bytes(32, "big") + call[68:]
    for other in (b"", call[:-1], call + b"\0", b"\0" + call[1:], oversized):
        assert notary.decode_anchor(other) is None
