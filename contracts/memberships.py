"""Who belongs where (Memberships.sol): system accounts, suspended participants, an account's move to a bank.

Participants and registrations, which every deployment needs, are in contracts.abi.
"""

from dataclasses import dataclass
from typing import ClassVar

from contracts.abi import SELECTORS
from contracts.typed_data import TypedMessage
from contracts.words import encode_address, encode_word, pad


@dataclass(frozen=True, slots=True)
class AccountMove(TypedMessage):
    """What an owner signs to move its account to ``participant``. ``flags`` is 0 or AccountFlag.LINKED.

    ``nonce`` is of the account's one row with its packed payments: those with lower ones end.
    """

    owner: bytes
    participant: int
    tier: int
    flags: int
    nonce: int
    valid_before_s: int

    MEMBERS: ClassVar = (
        "address owner",
        "uint256 participant",
        "uint256 tier",
        "uint256 flags",
        "uint256 nonce",
        "uint256 validBefore",
    )


def encode_set_system_account(account: bytes, tier: int) -> bytes:
    """Register the account of a contract of the system, which is paid by its own calls alone (governor)."""
    return SELECTORS["setSystemAccount(address,uint8)"] + encode_address(account) + encode_word(tier)


def encode_suspend_participant(participant: int) -> bytes:
    """Stop everything that an institution does; its customers keep their money (supervisor)."""
    return SELECTORS["suspendParticipant(uint16)"] + encode_word(participant)


def encode_reinstate_participant(participant: int) -> bytes:
    """End a suspension (supervisor)."""
    return SELECTORS["reinstateParticipant(uint16)"] + encode_word(participant)


def encode_move_account(move: AccountMove, signature: bytes) -> bytes:
    """Take an account over by its owner's signature (the institution of ``move.participant``)."""
    selector = SELECTORS["moveAccount((address,uint8,uint24,uint32,uint64),bytes)"]
    members = (move.tier, move.flags, move.nonce, move.valid_before_s)
    head = encode_address(move.owner) + b"".join(map(encode_word, members)) + encode_word(192)
    return selector + head + encode_word(len(signature)) + pad(signature)
