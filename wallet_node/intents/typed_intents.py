"""What customers' and institutional keys sign beside payments and transactions: EIP-712 structures. Pure.

The set is closed. Each is bound to the currency's own domain, which no intent names: the separator comes from
the deployment that the node is bound to. The digests are computed in `contracts/` alone.

Bounds are narrower than the structures' uint256: an amount fits the journal, a time ends before the year
36,812. What is unlimited (an allowance of 2^256 - 1, a permit for ever) is no intent of this node.
"""

from typing import Annotated, NamedTuple, TypeAlias

import msgspec

from contracts import authorizations, memberships
from contracts.accounts import AccountFlag
from contracts.typed_data import TypedMessage, fan_out_digest
from wallet_node.errors import Refusal
from wallet_node.fields import MAXIMUM_PAYMENT_NONCE, MAXIMUM_TIME_S, Address, Integer, Time, address_bytes
from wallet_node.intents.batch_movements import fan_out_movements
from wallet_node.intents.call_movements import flags_in_words
from wallet_node.intents.movements import Kind, Movement, Movements

MAXIMUM_FAN_OUT = 5_000
"""More entries fit no transaction that nodes take (128 KiB)."""

PAYMENT_SPACE, PERMIT_SPACE = "payment", "permit"
AUTHORIZATION_SPACE, CANCELLATION_SPACE = "authorization", "cancellation"

PackedEntries = Annotated[
    str, msgspec.Meta(pattern=r"\A0x(?:[0-9a-fA-F]{50})+\Z", max_length=2 + 50 * MAXIMUM_FAN_OUT)
]
RandomNonce = Annotated[str, msgspec.Meta(pattern=r"\A0x[0-9a-fA-F]{64}\Z")]
AccountNonce = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_PAYMENT_NONCE)]
TimeOrStart = Annotated[int, msgspec.Meta(ge=0, le=MAXIMUM_TIME_S)]
Participant = Annotated[int, msgspec.Meta(ge=1, le=2**16 - 1)]
Tier = Annotated[int, msgspec.Meta(ge=0, le=2**8 - 1)]


class _Intent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=True, tag_field="type"):
    """JSON names the structure in `type`."""


class FanOut(_Intent, frozen=True):
    """Payments of one payer to many. `payments` are packed entries (contracts.batch.pack_fan_out).

    `nonce` is of the payer's one row with its payments and moves.
    """

    payer: Address
    payments: PackedEntries
    nonce: AccountNonce
    valid_before_s: Time


class Permit(_Intent, frozen=True):
    """ERC-2612: `spender` may take up to an amount. `nonce` counts the owner's permits."""

    owner: Address
    spender: Address
    amount_minor: Integer
    nonce: Integer
    deadline_s: Time


class TransferWithAuthorization(_Intent, frozen=True):
    """EIP-3009: a payment that anybody may submit, strictly between the two times. `nonce` is random."""

    payer: Address
    payee: Address
    amount_minor: Integer
    valid_after_s: TimeOrStart
    valid_before_s: Time
    nonce: RandomNonce


class ReceiveWithAuthorization(_Intent, frozen=True):
    """EIP-3009: the same payment, which its payee alone may submit."""

    payer: Address
    payee: Address
    amount_minor: Integer
    valid_after_s: TimeOrStart
    valid_before_s: Time
    nonce: RandomNonce


class CancelAuthorization(_Intent, frozen=True):
    """EIP-3009: the authorisation with this nonce shall not be used any more."""

    authorizer: Address
    nonce: RandomNonce


class AccountMove(_Intent, frozen=True):
    """An account's move to another participant. `nonce` is of its one row with payments."""

    owner: Address
    participant: Participant
    tier: Tier
    is_linked: bool
    nonce: AccountNonce
    valid_before_s: Time


TypedIntent: TypeAlias = (
    FanOut | Permit | TransferWithAuthorization | ReceiveWithAuthorization | CancelAuthorization | AccountMove
)
"""The closed set, as one type for `strict_json.decode`."""

KINDS: tuple[type[TypedIntent], ...] = (
    FanOut,
    Permit,
    TransferWithAuthorization,
    ReceiveWithAuthorization,
    CancelAuthorization,
    AccountMove,
)


class NonceUse(NamedTuple):
    """Which nonce an intent uses up, of which row.

    A counted nonce is a number in the rows `payment` (which fan-outs and moves share with payments) or
    `permit`. A random one has 32 bytes, in the row `authorization`. Whoever cancels uses no nonce up: a
    cancellation stands in a row of its own, under the nonce that it cancels.
    """

    space: str
    counted: int | None = None
    random: bytes | None = None


def signer(intent: TypedIntent) -> bytes:
    """The account whose key signs it."""
    match intent:
        case Permit() | AccountMove():
            return address_bytes(intent.owner)
        case CancelAuthorization():
            return address_bytes(intent.authorizer)
    return address_bytes(intent.payer)


def nonce_use(intent: TypedIntent) -> NonceUse:
    """The nonce that the intent names."""
    match intent:
        case FanOut() | AccountMove():
            return NonceUse(PAYMENT_SPACE, counted=intent.nonce)
        case Permit():
            return NonceUse(PERMIT_SPACE, counted=intent.nonce)
        case CancelAuthorization():
            return NonceUse(CANCELLATION_SPACE, random=_bytes(intent.nonce))
    return NonceUse(AUTHORIZATION_SPACE, random=_bytes(intent.nonce))


def with_nonce(intent: TypedIntent, nonce: int) -> TypedIntent:
    """The same intent under the nonce that the node allocates: for the counted rows alone."""
    assert nonce_use(intent).counted is not None, "a random nonce is the caller's"
    return msgspec.structs.replace(intent, nonce=nonce)


def with_terms(intent: TypedIntent, nonce: int, valid_until_s: int) -> TypedIntent:
    """The same intent under another nonce and until another time: for the counted rows alone."""
    field = "deadline_s" if isinstance(intent, Permit) else "valid_before_s"
    return msgspec.structs.replace(with_nonce(intent, nonce), **{field: valid_until_s})


def content_hash(intent: TypedIntent, separator: bytes) -> bytes:
    """What an id is bound to for ever, whatever its attempt: all but who signs it.

    In the counted rows nonce and time are not in it: the node gives the one, each attempt has the other. A
    random nonce is in it, and the times with it.
    """
    is_counted = nonce_use(intent).counted is not None
    return digest(with_terms(intent, 0, 0) if is_counted else intent, separator)


def digest(intent: TypedIntent, separator: bytes) -> bytes:
    """The 32 bytes that its signer signs. `separator` is that of the bound deployment."""
    if isinstance(intent, FanOut):
        return fan_out_digest(separator, _bytes(intent.payments), intent.nonce, intent.valid_before_s)
    return message(intent).digest(separator)


def message(
    intent: Permit | TransferWithAuthorization | ReceiveWithAuthorization | CancelAuthorization | AccountMove,
) -> TypedMessage:
    """The structure as `contracts/` knows it. A fan-out is no such: its digest has a function of its own."""
    match intent:
        case Permit():
            return authorizations.Permit(
                address_bytes(intent.owner),
                address_bytes(intent.spender),
                intent.amount_minor,
                intent.nonce,
                intent.deadline_s,
            )
        case CancelAuthorization():
            return authorizations.CancelAuthorization(address_bytes(intent.authorizer), _bytes(intent.nonce))
        case AccountMove():
            return memberships.AccountMove(
                address_bytes(intent.owner),
                intent.participant,
                intent.tier,
                int(AccountFlag.LINKED) if intent.is_linked else 0,
                intent.nonce,
                intent.valid_before_s,
            )
    is_transfer = isinstance(intent, TransferWithAuthorization)
    kind = (
        authorizations.TransferWithAuthorization if is_transfer else authorizations.ReceiveWithAuthorization
    )
    return kind(
        address_bytes(intent.payer),
        address_bytes(intent.payee),
        intent.amount_minor,
        intent.valid_after_s,
        intent.valid_before_s,
        _bytes(intent.nonce),
    )


def movements(intent: TypedIntent) -> Movements:
    """What it moves once it is submitted; of a fan-out, each payment."""
    by = signer(intent)
    match intent:
        case FanOut():
            return fan_out_movements(by, _bytes(intent.payments), intent.nonce, intent.valid_before_s)
        case Permit():
            spender = address_bytes(intent.spender)
            return (Movement(Kind.ALLOWANCE, by, spender, intent.amount_minor, intent.deadline_s),)
        case CancelAuthorization():
            return (Movement(Kind.AUTHORIZATION_CANCELLED, by, detail={"nonce": _bytes(intent.nonce)}),)
        case AccountMove():
            flags = int(AccountFlag.LINKED) if intent.is_linked else 0
            return (
                Movement(
                    Kind.ACCOUNT_MOVED,
                    by,
                    until_s=intent.valid_before_s,
                    detail={
                        "destination": f"participant {intent.participant}",
                        "tier": intent.tier,
                        "linked": flags_in_words(flags),
                        "nonce": intent.nonce,
                    },
                ),
            )
    return (
        Movement(
            Kind.TRANSFER,
            by,
            address_bytes(intent.payee),
            intent.amount_minor,
            intent.valid_before_s,
            {"nonce": _bytes(intent.nonce), "valid_after_s": intent.valid_after_s},
        ),
    )


def valid_until_s(intent: TypedIntent) -> int | None:
    """Until when the signature can be submitted; None, for ever."""
    match intent:
        case Permit():
            return intent.deadline_s
        case CancelAuthorization():
            return None
    return intent.valid_before_s


def plain_refusals(intent: TypedIntent) -> tuple[Refusal, ...]:
    """What no policy can allow: the contract would refuse it, or it says nothing."""
    found: dict[str, str] = {}
    for each in movements(intent):
        if each.kind not in (Kind.PAYMENT, Kind.TRANSFER):
            continue
        if each.amount_minor == 0:
            found["ZeroAmount"] = "a payment moves at least one minor unit"
        if each.payer == each.payee:
            found["SelfPayment"] = "payer and payee are the same account"
    match intent:
        case TransferWithAuthorization() | ReceiveWithAuthorization():
            if intent.valid_before_s - intent.valid_after_s < 2:
                found["NeverValid"] = "an authorisation is valid strictly between its two times"
    return tuple(Refusal(code, detail) for code, detail in found.items())


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text[2:])
