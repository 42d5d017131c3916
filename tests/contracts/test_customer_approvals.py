"""What customers approve, against eth-account's encoder."""

from dataclasses import asdict, replace

import pytest
from eth_account.messages import _hash_eip191_message, encode_typed_data
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.customer_approvals import (
    Credential,
    CredentialChange,
    CredentialChangeRefusal,
    FanOutApproval,
    Mandate,
    PaymentApproval,
    payment_approval_digest,
)
from contracts.typed_data import PaymentDomain, TypedMessage

IDS = st.binary(min_size=16, max_size=16)
ADDRESSES = st.binary(min_size=20, max_size=20)
WORDS = st.binary(min_size=32, max_size=32)
UINT256 = st.integers(0, 2**256 - 1)
PAYMENTS = st.builds(PaymentApproval, IDS, ADDRESSES, ADDRESSES, UINT256, UINT256)
FAN_OUTS = st.builds(FanOutApproval, IDS, ADDRESSES, st.binary(max_size=200), UINT256)
MANDATES = st.builds(Mandate, IDS, ADDRESSES, ADDRESSES, UINT256, st.text(), UINT256, UINT256, UINT256)
CREDENTIALS = st.builds(
    Credential, st.binary(max_size=64), st.integers(-(2**255), 2**255 - 1), st.binary(max_size=64)
)
CHANGES = st.builds(CredentialChange, IDS, ADDRESSES, WORDS, WORDS, UINT256, st.booleans())
REFUSALS = st.builds(CredentialChangeRefusal, IDS, ADDRESSES, UINT256)

DOMAIN = PaymentDomain("Czech koruna", 31_337, bytes(range(20)))


@settings(max_examples=80, deadline=None)
@given(
    chain_id=st.integers(1, 2**64),
    contract=ADDRESSES,
    message=st.one_of(PAYMENTS, FAN_OUTS, MANDATES, CREDENTIALS, CHANGES, REFUSALS),
)
def test_the_digest_of_what_customers_approve_equals_eth_accounts(
    chain_id: int, contract: bytes, message: TypedMessage
) -> None:
    domain = PaymentDomain("Czech koruna", chain_id, contract)
    theirs = encode_typed_data(full_message=message.typed_data(domain))
    assert message.digest(domain.separator) == _hash_eip191_message(theirs)
    assert message.struct_hash() == theirs.body


@settings(deadline=None)
@given(separator=WORDS, approval=PAYMENTS)
def test_the_fast_digest_of_a_payments_approval_is_the_same(
    separator: bytes, approval: PaymentApproval
) -> None:
    assert payment_approval_digest(separator, **asdict(approval)) == approval.digest(separator)


def test_the_types_are_those_that_are_written_down() -> None:
    """A wallet elsewhere is built from these texts: a member renamed or moved is another approval."""
    written = {
        PaymentApproval: "bytes16 paymentId,address payer,address payee,uint256 amount,uint256 expiresAt",
        FanOutApproval: "bytes16 paymentId,address payer,bytes payments,uint256 expiresAt",
        Mandate: "bytes16 mandateId,address payer,address payee,uint256 cap,string period,"
        "uint256 startsAt,uint256 expiresAt,uint256 approvalExpiresAt",
        Credential: "bytes credentialId,int256 algorithm,bytes publicKey",
        CredentialChangeRefusal: "bytes16 changeId,address wallet,uint256 expiresAt",
        CredentialChange: "bytes16 changeId,address wallet,bytes32 bound,bytes32 unbound,uint256 expiresAt,"
        "bool endsMandates",
    }
    for kind, members in written.items():
        assert ",".join(kind.MEMBERS) == members


@settings(deadline=None)
@given(approval=PAYMENTS, other=PAYMENTS)
def test_two_payments_have_one_digest_only_if_they_are_the_same(
    approval: PaymentApproval, other: PaymentApproval
) -> None:
    separator = DOMAIN.separator
    for name in PaymentApproval.__slots__:
        mixed = replace(approval, **{name: getattr(other, name)})
        assert (mixed.digest(separator) == approval.digest(separator)) == (mixed == approval)


def test_another_currency_needs_another_approval() -> None:
    approval = PaymentApproval(bytes(16), bytes(20), bytes(20), 1, 1)
    elsewhere = PaymentDomain(DOMAIN.name, DOMAIN.chain_id + 1, DOMAIN.contract)
    assert approval.digest(DOMAIN.separator) != approval.digest(elsewhere.separator)


def test_an_id_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        PaymentApproval(bytes(17), bytes(20), bytes(20), 1, 1).digest(DOMAIN.separator)


def test_bytes_and_text_are_hashed_whatever_their_length() -> None:
    """EIP-712 §encodeData: the empty ones, too."""
    assert FanOutApproval(bytes(16), bytes(20), b"", 0).words()[64:96] == keccak(b"")
    assert Mandate(bytes(16), bytes(20), bytes(20), 0, "", 0, 0, 0).words()[128:160] == keccak(b"")
