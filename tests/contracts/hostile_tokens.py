"""Tokens that lie, as EVM code written out by hand: small enough to read, and no compiler is needed."""

from contracts.local_evm import LocalEvm
from tests.contracts.world import DEPLOYER

TRANSFER_FROM = "23b872dd"

# Answers 1 to every call: a transfer succeeds, and no balance ever changes.
HOLLOW = bytes.fromhex("60015f5260205ff3")

# transferFrom first calls the trades with 36 bytes out of slots 1 and 2; every other call answers slot 0.
_CALLS_BACK = (
    "5f3560e01c" + "63" + TRANSFER_FROM + "14" + "601657"  # selector; to 0x16 if it is transferFrom
    "5f545f52" + "60205ff3"  # else return slot 0
    "5b" + "6001545f52" + "600254602052"  # memory: slots 1 and 2
    "5f5f60245f5f" + "73{trades}" + "5af1"  # call
)
_OR_REVERTS_AS_IT_DID = "604957" + "3d5f5f3e3d5ffd" + "5b"
_WHATEVER_CAME_OF_IT = "50"
_COUNTS_THE_AMOUNT_AND_SAYS_YES = "6044355f54015f55" + "60015f52" + "60205ff3"


def reentrant(trades: bytes, swallows: bool) -> bytes:
    """A token that calls back during transferFrom, and fails as that call did or goes on regardless."""
    ending = _WHATEVER_CAME_OF_IT if swallows else _OR_REVERTS_AS_IT_DID
    code = _CALLS_BACK.format(trades=trades.hex()) + ending + _COUNTS_THE_AMOUNT_AND_SAYS_YES
    return bytes.fromhex(code)


def deploy(evm: LocalEvm, runtime: bytes) -> bytes:
    """Create a contract of this code; return its address."""
    creation = evm.send(
        DEPLOYER, b"", bytes([0x60, len(runtime)]) + bytes.fromhex("8060095f395ff3") + runtime
    )
    assert creation.is_success
    assert evm.read_code(creation.created) == runtime
    return creation.created


def aim(evm: LocalEvm, token: bytes, call: bytes) -> None:
    """Tell a reentrant token what to call back with."""
    assert len(call) == 36
    evm.write_storage(token, 1, int.from_bytes(call[:32], "big"))
    evm.write_storage(token, 2, int.from_bytes(call[32:].ljust(32, b"\0"), "big"))
