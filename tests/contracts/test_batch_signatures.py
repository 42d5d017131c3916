"""Whose signature counts, and how often: one set of questions to each form of a batch."""

from dataclasses import replace

import pytest
from coincurve import PublicKey
from eth_hash.auto import keccak

from contracts.abi import AccountFlag
from contracts.batch import Record
from tests.contracts.forms import BEHIND_GROUPS, FAN_OUT, FLAT, GROUPED, Form
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    RETAIL_PER_PAYMENT,
    RETAIL_TIER,
    STRANGER,
    Person,
    World,
)

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
LOW_255_BITS = (1 << 255) - 1
LAST = 2**32 - 1
FORMS = (FLAT, GROUPED, BEHIND_GROUPS, FAN_OUT)


@pytest.fixture(params=FORMS, ids=lambda form: form.name)
def form(request: pytest.FixtureRequest) -> Form:
    chosen: Form = request.param
    return chosen


def refuses_without_a_trace(world: World, form: Form, record: Record, *codes: str) -> None:
    """Assert that nothing of what the contract stores changes."""
    before = world.fingerprint()
    (code,) = form.outcomes(world, record)
    assert code in codes
    assert world.fingerprint() == before


def test_a_good_signature_pays(world: World, form: Form) -> None:
    assert form.outcomes(world, form.sign(world, ALICE, CAROL, 10)) == [None]
    assert (world.balance(ALICE), world.balance(CAROL), world.account(ALICE).nonce) == (59_990, 10, 1)


@pytest.mark.parametrize("foreign", ["chain_id", "contract", "name"])
def test_a_signature_for_another_domain_pays_nobody(world: World, form: Form, foreign: str) -> None:
    changed = {
        "chain_id": world.domain.chain_id + 1,
        "contract": world.implementation,
        "name": "Other",
    }
    domain = replace(world.domain, **{foreign: changed[foreign]})  # type: ignore[arg-type]
    record = form.sign(world, ALICE, CAROL, 10, domain=domain)
    refuses_without_a_trace(world, form, record, "PayerNotOfParticipant")


@pytest.mark.parametrize(
    "change", [{"payee": BOB.address}, {"amount_minor": 11}, {"nonce": 1}, {"r": bytes([1] * 32)}]
)
def test_a_changed_field_pays_nobody(world: World, form: Form, change: dict[str, object]) -> None:
    record = form.sign(world, ALICE, CAROL, 10)._replace(**change)  # type: ignore[arg-type]
    refuses_without_a_trace(world, form, record, "PayerNotOfParticipant", "BadSignature")


def test_another_expiry_than_the_signed_one_pays_nobody(world: World, form: Form) -> None:
    record = form.sign(world, ALICE, CAROL, 10)
    before = world.fingerprint()
    later = world.valid_before_s + 1
    assert form.outcomes(world, record, valid_before_s=later) == ["PayerNotOfParticipant"]
    assert world.fingerprint() == before


@pytest.mark.parametrize(("signed", "sent"), [(FLAT, FAN_OUT), (FAN_OUT, FLAT), (FAN_OUT, GROUPED)])
def test_a_signature_of_another_form_pays_nobody(world: World, signed: Form, sent: Form) -> None:
    refuses_without_a_trace(world, sent, signed.sign(world, ALICE, CAROL, 10), "PayerNotOfParticipant")


def test_flat_and_grouped_are_one_signature_and_pay_once(world: World) -> None:
    record = FLAT.sign(world, ALICE, CAROL, 10)
    assert GROUPED.outcomes(world, record) == [None]
    refuses_without_a_trace(world, FLAT, record, "NonceUsed")
    refuses_without_a_trace(world, GROUPED, record, "NonceUsed")


@pytest.mark.parametrize(
    ("r", "s"), [(0, 1), (1, 0), (0, 0), (ORDER, 1), (ORDER + 1, 1), (2**256 - 1, 1), (5, 1)]
)
def test_impossible_r_or_s_is_a_bad_signature(world: World, form: Form, r: int, s: int) -> None:
    """5 is not the x of a point."""
    record = Record(CAROL.address, 10, 0, r.to_bytes(32, "big"), s.to_bytes(32, "big"))
    refuses_without_a_trace(world, form, record, "BadSignature")


def signer_of(world: World, form: Form, record: Record) -> Person:
    """Whoever a signature would be of: nobody knows the key, but the address can be registered."""
    digest = form.digest(
        world.domain.separator, record.payee, record.amount_minor, record.nonce, world.valid_before_s
    )
    vs = int.from_bytes(record.vs, "big")
    signature = record.r + (vs & LOW_255_BITS).to_bytes(32, "big") + bytes([vs >> 255])
    key = PublicKey.from_signature_and_message(signature, digest, hasher=None)
    return Person(b"", keccak(key.format(compressed=False)[1:])[12:])


@pytest.mark.parametrize("parity", [0, 1])
@pytest.mark.parametrize(("above_half", "code"), [(0, None), (1, "BadSignature")])
def test_a_high_s_is_refused_whoever_signed(
    world: World, form: Form, parity: int, above_half: int, code: str | None
) -> None:
    s = ORDER // 2 + above_half
    record = form.sign(world, BOB, CAROL, 10)._replace(vs=(s | parity << 255).to_bytes(32, "big"))
    signer = signer_of(world, form, record)
    world.register(BANK_A, [signer], RETAIL_TIER)
    world.transfer(BANK_A, signer, 1_000)
    assert form.outcomes(world, record) == [code]
    assert world.balance(signer) == (1_000 if code else 990)


@pytest.mark.parametrize("nonce", [0, 1, 2])
@pytest.mark.parametrize("payee", [CAROL, BOB])
def test_a_failed_recovery_pays_neither_from_the_last_payer_nor_from_a_payee(
    world: World, form: Form, nonce: int, payee: Person
) -> None:
    """All are the bank's customers with money, and their addresses are still in memory: in the group of the
    good record, and in one of its own.
    """
    good = form.sign(world, ALICE, BOB, 10)
    bad = Record(payee.address, 10, nonce, bytes(32), bytes(32))
    assert form.outcomes(world, good, bad, bad) == [None, "BadSignature", "BadSignature"]
    assert (world.balance(ALICE), world.balance(BOB), world.balance(CAROL)) == (59_990, 60_010, 0)
    assert (world.account(ALICE).nonce, world.account(BOB).nonce) == (1, 0)


def test_a_bad_signature_between_good_ones_harms_neither(world: World, form: Form) -> None:
    first, last = (form.sign(world, ALICE, CAROL, 10, nonce=nonce) for nonce in (0, 1))
    bad = Record(CAROL.address, 10, 1, bytes(32), bytes(32))
    assert form.outcomes(world, first, bad, last) == [None, "BadSignature", None]
    assert world.balance(CAROL) == 20


def test_it_executes_strictly_before_valid_before(world: World, form: Form) -> None:
    expiry = world.evm.time_s + 10
    record = form.sign(world, ALICE, CAROL, 10, valid_before_s=expiry)
    for late_s in (0, 1, 10**6):
        world.evm.set_time(expiry + late_s)
        assert form.outcomes(world, record, valid_before_s=expiry) == ["BatchExpired"]
    world.evm.set_time(expiry - 1)
    assert form.outcomes(world, record, valid_before_s=expiry) == [None]


@pytest.mark.parametrize("payer", [CAROL, BANK_B, STRANGER])
def test_anothers_customer_another_bank_and_a_stranger_keep_their_nonce(
    world: World, form: Form, payer: Person
) -> None:
    refuses_without_a_trace(world, form, form.sign(world, payer, ALICE, 10), "PayerNotOfParticipant")


@pytest.mark.parametrize("sender", [ALICE, STRANGER])
def test_only_an_institution_settles(world: World, form: Form, sender: Person) -> None:
    record = form.sign(world, ALICE, CAROL, 10)
    assert form.outcomes(world, record, sender=sender) == ["NotAParticipant"]
    assert form.outcomes(world, record) == [None]


@pytest.mark.parametrize(
    ("flag", "code"),
    [
        (AccountFlag.FROZEN, "ParticipantFrozen"),
        (AccountFlag.CLOSED, "ParticipantFrozen"),
        (AccountFlag.SUSPENDED, "ParticipantSuspended"),
    ],
)
def test_an_institution_that_is_not_in_good_standing_settles_nothing(
    world: World, form: Form, flag: AccountFlag, code: str
) -> None:
    record = form.sign(world, ALICE, CAROL, 10)
    world.mark(BANK_A, flag)
    refuses_without_a_trace(world, form, record, code)


# Nonces


def test_a_replay_pays_once_in_a_batch_and_later(world: World, form: Form) -> None:
    record = form.sign(world, ALICE, CAROL, 10)
    assert form.outcomes(world, record, record, record) == [None, "NonceUsed", "NonceUsed"]
    refuses_without_a_trace(world, form, record, "NonceUsed")
    assert world.balance(CAROL) == 10


def test_two_payments_under_one_nonce_pay_once(world: World, form: Form) -> None:
    records = [form.sign(world, ALICE, payee, 10) for payee in (CAROL, BOB)]
    assert form.outcomes(world, *records) == [None, "NonceUsed"]


def test_a_gap_is_allowed_and_ends_every_lower_nonce(world: World, form: Form) -> None:
    lower = [form.sign(world, ALICE, CAROL, 10, nonce=nonce) for nonce in (0, 5, 6)]
    assert form.outcomes(world, form.sign(world, ALICE, CAROL, 1, nonce=6), *lower) == [
        None,
        "NonceUsed",
        "NonceUsed",
        "NonceUsed",
    ]
    assert world.account(ALICE).nonce == 7
    assert form.outcomes(world, form.sign(world, ALICE, CAROL, 1, nonce=7)) == [None]


def test_what_a_rule_refuses_consumes_its_nonce_and_its_successor_executes(world: World, form: Form) -> None:
    refused = form.sign(world, ALICE, CAROL, RETAIL_PER_PAYMENT + 1, nonce=3)
    successor = form.sign(world, ALICE, CAROL, 5, nonce=4)
    assert form.outcomes(world, refused, successor) == ["PerPaymentLimitExceeded", None]
    assert form.outcomes(world, refused) == ["NonceUsed"]


def test_what_was_skipped_for_its_participant_executes_where_it_belongs(world: World, form: Form) -> None:
    record = form.sign(world, ALICE, CAROL, 10)
    assert form.outcomes(world, record, sender=BANK_B) == ["PayerNotOfParticipant"]
    assert form.outcomes(world, record) == [None]


@pytest.mark.parametrize("before", [0, 1])
def test_the_highest_nonce_is_never_usable(world: World, form: Form, before: int) -> None:
    """Also for a later record of a batch, where all rules are asked at once."""
    first = [form.sign(world, ALICE, CAROL, 1)] * before
    highest = form.sign(world, ALICE, CAROL, 10, nonce=LAST)
    assert form.outcomes(world, *first, highest) == [None] * before + ["NonceUsed"]
    assert form.outcomes(world, form.sign(world, ALICE, CAROL, 10, nonce=LAST - 1), highest) == [
        None,
        "NonceUsed",
    ]
    assert world.account(ALICE).nonce == LAST
