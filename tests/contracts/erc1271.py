"""Accounts with code that answer for signatures (ERC-1271), a few instructions each."""

from dataclasses import dataclass

from tests.contracts.world import Person, World

# sload(0) == calldataload(4) ? the magic value : zero
ACCEPTS_ONE_DIGEST = bytes.fromhex("5f5460043514631626ba7e60e01b025f5260205ff3")

# What a contract may answer that is not consent, by what it does.
REFUSING = {
    "zero": "5f5f5260205ff3",
    "one": "60015f5260205ff3",
    "nothing": "00",
    "reverting": "5f5ffd",
    "reverting with the magic value": "631626ba7e60e01b5f5260205ffd",
    "invalid instruction": "fe",
    "the magic value at the wrong end": "631626ba7e5f5260205ff3",
    "the magic value and a dirty end": "631626ba7e60e01b6001175f5260205ff3",
    "four bytes": "631626ba7e60e01b5f5260045ff3",
    "31 bytes": "631626ba7e60e01b5f52601f5ff3",
    "another magic value": "63deadbeef60e01b5f5260205ff3",
}


@dataclass(frozen=True)
class Wallet:
    """A contract that accepts one digest, whatever bytes come with it, and answers zero to every other."""

    person: Person

    @staticmethod
    def create(world: World) -> "Wallet":
        return Wallet(Person(b"", world.create_from_runtime(ACCEPTS_ONE_DIGEST)))

    def accept(self, world: World, digest: bytes) -> None:
        world.evm.write_storage(self.person.address, 0, int.from_bytes(digest, "big"))


def create_refusing(world: World, code: str) -> Person:
    """A contract that never consents."""
    return Person(b"", world.create_from_runtime(bytes.fromhex(code)))
