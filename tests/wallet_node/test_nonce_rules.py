"""The nonce and attempt rules, branch by branch."""

import msgspec
import pytest

from wallet_node.errors import Refusal
from wallet_node.journal.nonces import (
    Content,
    Fees,
    KnownIntent,
    PaymentTerms,
    Signing,
    Space,
    allocate_nonce,
    decide_authorization,
    decide_gap_repair,
    decide_payment_attempt,
    decide_transaction_attempt,
)

PAYMENT = Content(b"P" * 20, b"Q" * 20, 100)
CALL = Content(b"P" * 20, b"Q" * 20, 0, b"h" * 32)
SPACE = Space(1, b"C" * 20, "payment")
ACCOUNT = Space(1, b"", "transaction")


def paid(*attempts: tuple[int, int]) -> KnownIntent:
    return KnownIntent(PAYMENT, SPACE, 7, {attempt: PaymentTerms(until) for attempt, until in attempts})


def called(*fees: tuple[int, int]) -> KnownIntent:
    return KnownIntent(CALL, ACCOUNT, 7, {place: Fees(*pair) for place, pair in enumerate(fees, 1)})


def code(decided: Signing | Refusal | int) -> str:
    assert isinstance(decided, Refusal)
    return decided.code


@pytest.mark.parametrize(
    ("own_next", "floor", "expected"), [(0, 0, 0), (5, 0, 5), (5, 5, 5), (5, 9, 9), (5, 15, 15)]
)
def test_the_nonce_is_the_higher_of_own_next_and_floor(own_next: int, floor: int, expected: int) -> None:
    assert allocate_nonce(own_next, floor, longest_jump=10, highest=100) == expected


def test_a_floor_may_not_jump_further_than_allowed() -> None:
    assert code(allocate_nonce(5, 16, longest_jump=10, highest=100)) == "NonceFloorTooFar"


def test_the_last_nonce_can_be_used_and_none_after_it() -> None:
    assert allocate_nonce(100, 0, longest_jump=10, highest=100) == 100
    assert code(allocate_nonce(101, 0, longest_jump=10, highest=100)) == "NonceExhausted"
    assert code(allocate_nonce(95, 101, longest_jump=10, highest=100)) == "NonceExhausted"


def test_the_same_attempt_is_signed_again_without_a_new_row() -> None:
    decided = decide_payment_attempt(paid((1, 600)), PAYMENT, SPACE, 1, PaymentTerms(600))
    assert decided == Signing(7, 1, PaymentTerms(600), is_new=False)


@pytest.mark.parametrize("valid_before_s", [599, 601])
def test_the_same_attempt_with_other_terms_is_refused(valid_before_s: int) -> None:
    known = paid((1, 600))
    assert (
        code(decide_payment_attempt(known, PAYMENT, SPACE, 1, PaymentTerms(valid_before_s)))
        == "AttemptReused"
    )


@pytest.mark.parametrize("attempt", [2, 9])
def test_a_later_attempt_that_ends_later_keeps_the_nonce_and_may_leave_gaps(attempt: int) -> None:
    decided = decide_payment_attempt(paid((1, 600)), PAYMENT, SPACE, attempt, PaymentTerms(601))
    assert decided == Signing(7, attempt, PaymentTerms(601), is_new=True)


@pytest.mark.parametrize("valid_before_s", [599, 600])
def test_a_later_attempt_must_end_later(valid_before_s: int) -> None:
    known = paid((1, 600))
    decided = decide_payment_attempt(known, PAYMENT, SPACE, 2, PaymentTerms(valid_before_s))
    assert code(decided) == "ValidBeforeNotLater"


def test_the_end_of_the_last_attempt_counts_not_of_the_first() -> None:
    known = paid((1, 600), (2, 900))
    assert code(decide_payment_attempt(known, PAYMENT, SPACE, 3, PaymentTerms(700))) == "ValidBeforeNotLater"


def test_an_attempt_below_the_last_that_was_never_seen_is_refused() -> None:
    known = paid((1, 600), (5, 900))
    assert code(decide_payment_attempt(known, PAYMENT, SPACE, 3, PaymentTerms(1000))) == "AttemptOutOfOrder"


def test_an_older_attempt_that_was_seen_gives_its_own_terms_again() -> None:
    known = paid((1, 600), (2, 900))
    decided = decide_payment_attempt(known, PAYMENT, SPACE, 1, PaymentTerms(600))
    assert decided == Signing(7, 1, PaymentTerms(600), is_new=False)


@pytest.mark.parametrize(
    "changes",
    [{"signer": b"X" * 20}, {"counterparty": b"X" * 20}, {"amount": 101}, {"calldata_hash": b"x" * 32}],
)
@pytest.mark.parametrize("attempt", [1, 2])
def test_other_content_under_a_known_payment_id_is_refused(changes: dict[str, object], attempt: int) -> None:
    content = msgspec.structs.replace(PAYMENT, **changes)
    decided = decide_payment_attempt(paid((1, 600)), content, SPACE, attempt, PaymentTerms(900))
    assert code(decided) == "PaymentIdReused"


def test_a_payment_id_of_another_space_is_refused() -> None:
    assert (
        code(decide_payment_attempt(paid((1, 600)), PAYMENT, ACCOUNT, 1, PaymentTerms(600)))
        == "PaymentIdReused"
    )


def test_a_transactions_id_is_refused_for_a_payment_and_the_other_way_round() -> None:
    assert (
        code(decide_payment_attempt(called((9, 1)), PAYMENT, SPACE, 1, PaymentTerms(1))) == "PaymentIdReused"
    )
    assert (
        code(decide_transaction_attempt(paid((1, 600)), CALL, ACCOUNT, Fees(9, 1))) == "TransactionIdReused"
    )


def test_the_same_fees_are_signed_again_without_a_new_row() -> None:
    decided = decide_transaction_attempt(called((9, 1)), CALL, ACCOUNT, Fees(9, 1))
    assert decided == Signing(7, 1, Fees(9, 1), is_new=False)


@pytest.mark.parametrize("fees", [(10, 1), (9, 2), (10, 2)])
def test_fees_that_rise_keep_the_nonce(fees: tuple[int, int]) -> None:
    decided = decide_transaction_attempt(called((9, 1)), CALL, ACCOUNT, Fees(*fees))
    assert decided == Signing(7, 2, Fees(*fees), is_new=True)


@pytest.mark.parametrize("fees", [(8, 1), (9, 0), (10, 0), (8, 2), (7, 1)])
def test_fees_that_do_not_rise_give_what_was_signed_last(fees: tuple[int, int]) -> None:
    known = called((7, 1), (9, 1))
    decided = decide_transaction_attempt(known, CALL, ACCOUNT, Fees(*fees))
    assert decided == Signing(7, 2, Fees(9, 1), is_new=False)


@pytest.mark.parametrize(
    "changes",
    [{"signer": b"X" * 20}, {"counterparty": b"X" * 20}, {"amount": 1}, {"calldata_hash": b"x" * 32}],
)
def test_other_content_under_a_known_transaction_id_is_refused(changes: dict[str, object]) -> None:
    content = msgspec.structs.replace(CALL, **changes)
    assert (
        code(decide_transaction_attempt(called((9, 1)), content, ACCOUNT, Fees(10, 1)))
        == "TransactionIdReused"
    )


# ------------------------------------------------------------------------------------------ gap repair

SIGNER = CALL.signer


def repaired(*fees: tuple[int, int]) -> KnownIntent:
    known = called((9, 1))
    known.repairs = {place: Fees(*pair) for place, pair in enumerate(fees, 1)}
    return known


def test_a_repair_takes_the_stuck_transactions_nonce() -> None:
    decided = decide_gap_repair(called((7, 1), (9, 1)), SIGNER, 1, Fees(10, 2))
    assert decided == Signing(7, 1, Fees(10, 2), is_new=True)


@pytest.mark.parametrize("fees", [(9, 1), (10, 1), (9, 2), (8, 5), (7, 1)])
def test_a_repair_must_outbid_the_last_attempt_in_both_fees(fees: tuple[int, int]) -> None:
    assert code(decide_gap_repair(called((7, 1), (9, 1)), SIGNER, 1, Fees(*fees))) == "RepairFeesTooLow"


@pytest.mark.parametrize("fees", [(10, 2), (10, 1), (9, 9)])
def test_a_repair_asked_again_without_a_rise_is_the_one_signed_last(fees: tuple[int, int]) -> None:
    decided = decide_gap_repair(repaired((10, 2)), SIGNER, 1, Fees(*fees))
    assert decided == Signing(7, 1, Fees(10, 2), is_new=False)


def test_a_repair_may_be_raised() -> None:
    decided = decide_gap_repair(repaired((10, 2), (12, 2)), SIGNER, 1, Fees(12, 3))
    assert decided == Signing(7, 3, Fees(12, 3), is_new=True)


@pytest.mark.parametrize(("signer", "chain_id"), [(b"X" * 20, 1), (SIGNER, 2)])
def test_of_another_key_or_chain_there_is_nothing_to_repair(signer: bytes, chain_id: int) -> None:
    assert code(decide_gap_repair(called((9, 1)), signer, chain_id, Fees(10, 2))) == "NothingToRepair"


def test_a_payment_is_not_repaired() -> None:
    assert code(decide_gap_repair(paid((1, 600)), PAYMENT.signer, 1, Fees(10, 2))) == "NothingToRepair"


def test_a_repaired_transaction_is_raised_no_more_but_its_bytes_come_back() -> None:
    known = repaired((10, 2))
    assert code(decide_transaction_attempt(known, CALL, ACCOUNT, Fees(99, 9))) == "NonceRepaired"
    assert decide_transaction_attempt(known, CALL, ACCOUNT, Fees(9, 1)) == Signing(
        7, 1, Fees(9, 1), is_new=False
    )


# ------------------------------------------------------------------------------------------ random nonces

GRANTED = Space(1, b"C" * 20, "authorization")
RANDOM = b"\x07" * 32


def test_an_authorization_under_a_nonce_that_nobody_has_is_new() -> None:
    assert decide_authorization(None, PAYMENT, GRANTED, RANDOM, None) is True


def test_an_authorization_asked_for_again_is_the_same() -> None:
    known = KnownIntent(PAYMENT, GRANTED, RANDOM)
    assert decide_authorization(known, PAYMENT, GRANTED, RANDOM, b"i" * 16) is False


def test_a_random_nonce_of_another_id_is_refused() -> None:
    assert code(decide_authorization(None, PAYMENT, GRANTED, RANDOM, b"i" * 16)) == "NonceTaken"


@pytest.mark.parametrize(
    "known",
    [
        KnownIntent(CALL, GRANTED, RANDOM),
        KnownIntent(PAYMENT, SPACE, RANDOM),
        KnownIntent(PAYMENT, GRANTED, b"\x08" * 32),
        KnownIntent(PAYMENT, GRANTED, 7),
    ],
)
def test_another_authorization_under_a_known_id_is_refused(known: KnownIntent) -> None:
    assert code(decide_authorization(known, PAYMENT, GRANTED, RANDOM, None)) == "AuthorizationIdReused"
