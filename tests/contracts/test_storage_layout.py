"""The slots that an upgrade must keep: what is written through the functions is where the layout says."""

from eth_hash.auto import keccak

from contracts import abi
from tests.contracts.world import ACCOUNTS_SLOT, ALICE, BOB, GOVERNOR, PAUSER, RETAIL_TIER, SUPPLY, World


def namespace(name: str) -> int:
    """ERC-7201: keccak256(keccak256(id) - 1), its last byte cleared."""
    inner = int.from_bytes(keccak(name.encode()), "big") - 1
    return int.from_bytes(keccak(inner.to_bytes(32, "big")), "big") & ~0xFF


def entry(slot: int, key: bytes) -> int:
    return int.from_bytes(keccak(key.rjust(32, b"\x00") + slot.to_bytes(32, "big")), "big")


START = namespace("florin.storage.DigitalCurrency")

# Published: an upgrade may only append. (member, slot, offset, bytes)
LAYOUT = [
    ("accounts", 0, 0, 32),
    ("allowances", 1, 0, 32),
    ("participants", 2, 0, 32),
    ("tiers", 3, 0, 8192),
    ("totalSupply", 259, 0, 32),
    ("nameHash", 260, 0, 32),
    ("name", 261, 0, 32),
    ("symbol", 262, 0, 32),
    ("decimals", 263, 0, 1),
    ("paused", 263, 1, 1),
]


def test_the_compiled_layout_starts_with_the_published_one() -> None:
    compiled = [
        (row["member"], row["slot"], row["offset"], row["bytes"])
        for row in abi.load_artifact("DigitalCurrency")["storageLayout"]
    ]
    assert compiled[: len(LAYOUT)] == LAYOUT
    participant = abi.load_artifact("DigitalCurrency")["storageLayout"][2]["members"]
    assert [(row["member"], row["slot"]) for row in participant] == [
        ("institution", 0),
        ("tierMask", 1),
        ("mintAllowance", 2),
    ]


def test_what_the_functions_write_is_in_the_published_slots(world: World) -> None:
    def read(slot: int) -> int:
        return world.evm.read_storage(world.currency, slot)

    assert START == ACCOUNTS_SLOT
    world.do(ALICE.address, abi.encode_approve(BOB.address, 123))
    world.do(PAUSER, abi.encode_pause())
    world.do(GOVERNOR, abi.encode_set_tier(255, 3, 2, 1))

    assert read(entry(START, ALICE.address)) == world.word(ALICE)
    assert abi.decode_account_word(read(entry(START, ALICE.address))).balance == 60_000
    assert read(entry(entry(START + 1, ALICE.address), BOB.address)) == 123
    participant = entry(START + 2, b"\x01")
    assert read(participant + 1) == 0b110
    assert read(participant + 2) == SUPPLY
    assert read(START + 3 + RETAIL_TIER) == 100_000 | 50_000 << 96 | 80_000 << 160
    assert read(START + 3 + 255) == 3 | 2 << 96 | 1 << 160
    assert read(START + 259) == 2 * SUPPLY
    assert read(START + 260) == int.from_bytes(keccak(b"Czech koruna"), "big")
    assert read(START + 263) == 2 | 1 << 8


def test_roles_and_upgrade_have_namespaces_of_their_own(world: World) -> None:
    holder = world.evm.read_storage(
        world.currency, entry(namespace("florin.storage.Roles"), abi.ROLES["GOVERNOR"])
    )
    assert holder.to_bytes(20, "big") == GOVERNOR
    delay = world.evm.read_storage(world.currency, namespace("florin.storage.DelayedUpgrade") + 1)
    assert delay == 172_800 << 64
