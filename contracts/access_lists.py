"""The access list of a call to the token: which storage it will touch (EIP-2930).

A slot that the transaction names costs 1,900 gas at once and 100 when it is first read, which without it is
2,100: it saves 100. Its contract must be named with it, for 2,400, although the contract that a transaction
calls is warm anyway: a short list costs more than it saves. What is named in vain costs its 1,900, so only
what a call is sure to touch is named:

- the word of every account that pays or is paid (accountSlot in DigitalCurrencyStorage.sol), also of those
  whose records are skipped, and of the caller;
- where the proxy keeps its implementation (ERC-1967).

Left out is what saves 100 for the whole call and depends on more than the call: tiers, the participant, the
implementation's address.
"""

from collections.abc import Iterable, Sequence

from sha3 import keccak_256

from contracts.transactions import AccessList

ACCESS_LIST_ADDRESS_GAS = 2_400
SLOT_SAVES_GAS = 100
"""A cold load costs 2,100; a listed one 1,900 and 100 (EIP-2929, EIP-2930)."""

MAX_TRANSACTION_BYTES = 128 * 1024
"""What geth's pool takes (txMaxSize)."""

# ERC-1967.
IMPLEMENTATION_SLOT = bytes.fromhex("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc")

# The accounts are the first member of the namespace florin.storage.DigitalCurrency (ERC-7201).
_ACCOUNTS = bytes.fromhex("9dc49bc1864aff589d87547887b7eef9e5e6f06fefb080e4b56b3348da10fe00")
_ADDRESS_PADDING = bytes(12)

_SLOT_BYTES = 33
# Whatever else a transaction holds but for its data: numbers of 8 bytes, address, signature, lengths.
_ENVELOPE_BYTES = 256
# Besides the accounts that are named: the implementation, and the caller.
_OWN_SLOTS = 2

MAX_LISTED_ACCOUNTS = (MAX_TRANSACTION_BYTES - _ENVELOPE_BYTES) // _SLOT_BYTES - _OWN_SLOTS
"""More never fit a transaction, whatever its data."""


def accounts_to_list(accounts: Iterable[bytes], data_bytes: int) -> list[bytes]:
    """Return which accounts a call should name: each once, in ascending order; none where it would cost more.

    ``accounts`` are those that the call is sure to touch, 20 bytes each; ``data_bytes`` is the length of its
    call data, beside which they must fit a transaction that nodes take.
    """
    room = (MAX_TRANSACTION_BYTES - _ENVELOPE_BYTES - data_bytes) // _SLOT_BYTES - _OWN_SLOTS
    listed = sorted(set(accounts))[: max(0, room)]
    # the caller may be among them: one slot is certain
    saved = (len(listed) + 1) * SLOT_SAVES_GAS
    return listed if saved > ACCESS_LIST_ADDRESS_GAS else []


def access_list(currency: bytes, caller: bytes, accounts: Sequence[bytes]) -> AccessList:
    """Return the access list that names these accounts, or the empty one for none.

    ``currency`` is the proxy's address and ``caller`` the sender's, whose account every settlement reads. The
    same arguments must give the same list for ever: a signer that is asked again derives it again.
    """
    if not accounts:
        return ()
    touched = sorted({*accounts, caller})
    return ((currency, (IMPLEMENTATION_SLOT, *map(account_slot, touched))),)


def account_slot(account: bytes) -> bytes:
    """Return the storage slot of an account's word: of an entry of the mapping ``accounts``."""
    slot: bytes = keccak_256(_ADDRESS_PADDING + account + _ACCOUNTS).digest()
    return slot
