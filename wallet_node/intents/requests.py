"""The closed set of things that the node can be asked for: payments, one transaction, one structure, keys.

There is no intent that carries a bare digest. Addresses and data are hex text at this edge and bytes behind
it.
"""

from typing import Annotated

import msgspec

from wallet_node.customer_proof import AssertionFields, CredentialFields, Proof
from wallet_node.fields import (
    MAXIMUM_BATCH,
    MAXIMUM_INTEGER,
    Address,
    Amount,
    Attempt,
    DomainName,
    HexData,
    Identifier,
    Integer,
    KeyIndex,
    KeyName,
    PackedAddresses,
    PaymentNonce,
    Place,
    Signature64,
    Time,
)
from wallet_node.intents.typed_intents import TypedIntent
from wallet_node.journal.proofs import MAXIMUM_ROWS


class Initiator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The officer who proposes what needs a quorum: a signature (Ed25519), or a passkey's assertion, over
    PROPOSE, the operation's digest, the policy in force and `expires_at_s` (officers/approvals.py).

    It is verified when the operation is proposed; who asks again need not send it.
    """

    officer: KeyName
    expires_at_s: Time
    signature: Signature64 | None = None
    assertion: AssertionFields | None = None


class Payment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One payment to sign. `nonce_floor` is the payer's nonce on chain as the caller last saw it.

    `proof` is the customer's own word for it; without one, the policy's low-value allowance has to do.
    """

    payment_id: Identifier
    attempt: Attempt
    payer: Address
    payee: Address
    amount_minor: Amount
    nonce_floor: PaymentNonce
    proof: Proof | None = None
    initiator: Initiator | None = None


class PaymentBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Up to 1,000 payments that share one deployment and one `valid_before_s`."""

    chain_id: Integer
    contract: Address
    domain_name: DomainName
    valid_before_s: Time
    payments: Annotated[tuple[Payment, ...], msgspec.Meta(min_length=1, max_length=MAXIMUM_BATCH)]


class Transaction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One EIP-1559 transaction of an institutional key.

    `listed_accounts` are the token's accounts whose storage its access list names, 20 bytes after 20 bytes in
    ascending order; none, no list.
    """

    transaction_id: Identifier
    key: KeyName
    chain_id: Integer
    to: Address
    value: Integer
    data: HexData
    gas: Annotated[int, msgspec.Meta(ge=21_000, le=MAXIMUM_INTEGER)]
    max_fee_per_gas: Integer
    max_priority_fee_per_gas: Integer
    nonce_floor: Integer
    listed_accounts: PackedAddresses = "0x"
    initiator: Initiator | None = None


class TypedData(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One structure to sign (EIP-712), of the closed set.

    A counted nonce is the node's to give: the intent's own and `nonce_floor` are floors of the first
    signature, and later ones keep what it got. A random nonce is the caller's, and has one attempt. `proof`
    is the customer's word for a fan-out; the others take none.
    """

    intent_id: Identifier
    attempt: Attempt
    intent: TypedIntent
    nonce_floor: Integer = 0
    proof: Proof | None = None
    initiator: Initiator | None = None


class Repair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A transfer of nothing to oneself in the place of a transaction that was signed and never mined.

    Officers approve it under `operation_id`, which by default follows from the transaction's. To ask them
    anew after they let one end, name another.
    """

    transaction_id: Identifier
    max_fee_per_gas: Integer
    max_priority_fee_per_gas: Integer
    operation_id: Identifier | None = None
    initiator: Initiator | None = None


class OperationsPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `limit` of the operations that wait, from the one behind the operation `after` on: an answer's
    `next`. They are in the order in which they expire.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50
    after: Identifier | None = None


class JournalInclusion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Row `sequence` (the first one is 1) in the tree of the first `size` rows."""

    sequence: Place
    size: Place


class JournalConsistency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tree of `first` rows as the beginning of that of `second`."""

    first: Place
    second: Place


class JournalRows(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """At most `count` rows from row `from` on (the first one is 1)."""

    first: Place = msgspec.field(name="from")
    count: Annotated[int, msgspec.Meta(ge=1, le=MAXIMUM_ROWS)]


class Derivation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Customer keys to derive, by index, each with its customer's first credential (or none).

    A credential is bound as its key is derived for the first time, and at no other time. There are as many
    of them as indices, or none; each index is answered by itself.
    """

    indices: Annotated[tuple[KeyIndex, ...], msgspec.Meta(min_length=1, max_length=MAXIMUM_BATCH)]
    credentials: Annotated[tuple[CredentialFields | None, ...], msgspec.Meta(max_length=MAXIMUM_BATCH)] = ()


class PolicyChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole text of a policy that is to come into force, once the quorum for it has approved."""

    operation_id: Identifier
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=262_144)]
    initiator: Initiator | None = None


class ExplainRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One intent whose decision is to be explained: a payment, a transaction or a structure."""

    payment: Payment | None = None
    transaction: Transaction | None = None
    typed_data: TypedData | None = None
