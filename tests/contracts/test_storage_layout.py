"""The slots that an upgrade must keep: what is written through the functions is where the layout says."""

import pytest
from eth_hash.auto import keccak

from contracts import abi, authorizations, orders
from contracts.authorizations import CancelAuthorization, Permit
from tests.contracts.world import (
    ACCOUNTS_SLOT,
    ALICE,
    BOB,
    COURT,
    GOVERNOR,
    PAUSER,
    REGISTRAR,
    RETAIL_TIER,
    SUPPLY,
    World,
    sign_digest,
)


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
    ("permitNonces", 264, 0, 32),
    ("authorizations", 265, 0, 32),
    ("orders", 266, 0, 32),
    ("restrictions", 267, 0, 32),
    ("orderUses", 268, 0, 32),
    ("tierVersions", 269, 0, 32),
    ("definedTiers", 270, 0, 32),
]
# What a mapping's structure holds. (member, slot, offset)
STRUCTURES = {
    "participants": [("institution", 0, 0), ("tierMask", 1, 0), ("mintAllowance", 2, 0)],
    "orders": [
        ("authority", 0, 0),
        ("cap", 0, 20),
        ("used", 1, 0),
        ("expiry", 1, 12),
        ("isRevoked", 1, 20),
    ],
    "restrictions": [("held", 0, 0), ("freezes", 0, 12)],
}
HALVES = ("DigitalCurrency", "DigitalCurrencyWithBatchEvents", "Administration")


@pytest.mark.parametrize("half", HALVES)
def test_the_compiled_layout_starts_with_the_published_one(half: str) -> None:
    rows = abi.load_artifact(half)["storageLayout"]
    compiled = [(row["member"], row["slot"], row["offset"], row["bytes"]) for row in rows]
    assert compiled[: len(LAYOUT)] == LAYOUT
    structures = {row["member"]: row["members"] for row in rows if "members" in row}
    for name, members in STRUCTURES.items():
        assert [(row["member"], row["slot"], row["offset"]) for row in structures[name]] == members


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
    since, paused = world.evm.time_s << 224, 1 << 255
    assert read(START + 3 + RETAIL_TIER) == 100_000 | 50_000 << 96 | 80_000 << 160 | since | paused
    assert read(START + 3 + 255) == 3 | 2 << 96 | 1 << 160 | since | paused
    assert read(START + 3 + 254) == 0
    assert read(START + 259) == 2 * SUPPLY
    assert read(START + 260) == int.from_bytes(keccak(b"Czech koruna"), "big")
    assert read(START + 263) == 2 | 1 << 8


def test_what_owners_sign_is_in_the_published_slots(world: World) -> None:
    def read(slot: int) -> int:
        return world.evm.read_storage(world.currency, slot)

    separator, nonce = world.domain.separator, bytes([0xAB] * 32)
    permit = Permit(ALICE.address, BOB.address, 77, 0, world.evm.time_s)
    cancellation = CancelAuthorization(ALICE.address, nonce)
    for message, encoder in (
        (permit, authorizations.encode_permit),
        (cancellation, authorizations.encode_cancel_authorization),
    ):
        world.do(COURT, encoder(message, sign_digest(ALICE, message.digest(separator))))
    assert read(entry(entry(START + 1, ALICE.address), BOB.address)) == 77
    assert read(entry(START + 264, ALICE.address)) == 1
    assert read(entry(entry(START + 265, ALICE.address), nonce)) == 1


def test_what_orders_do_is_in_the_published_slots(world: World) -> None:
    def read(slot: int) -> int:
        return world.evm.read_storage(world.currency, slot)

    expiry_s = world.evm.time_s + 5
    order = world.register_order(cap=1_000, expiry_s=expiry_s)
    world.do(COURT, orders.encode_hold(order, ALICE.address, 300))
    world.do(COURT, orders.encode_freeze(order, ALICE.address))
    world.do(REGISTRAR, orders.encode_revoke_order(order))
    stored = entry(START + 266, order)
    assert read(stored) == int.from_bytes(COURT, "big") | 1_000 << 160
    assert read(stored + 1) == 300 | expiry_s << 96 | 1 << 160
    assert read(entry(START + 267, ALICE.address)) == 300 | 1 << 96
    assert read(entry(entry(START + 268, order), ALICE.address)) == 300 | 1 << 96


def test_the_history_of_tiers_is_in_the_published_slots(world: World) -> None:
    def read(slot: int) -> int:
        return world.evm.read_storage(world.currency, slot)

    assert read(START + 270) == 0b111
    world.wait(100)
    world.set_tier(RETAIL_TIER, 9, 8, 7)
    versions = entry(START + 269, RETAIL_TIER.to_bytes(1, "big"))
    first = int.from_bytes(keccak(versions.to_bytes(32, "big")), "big")
    assert read(versions) == 2
    assert read(first) == 100_000 | 50_000 << 96 | 80_000 << 160 | (world.evm.time_s - 100) << 224
    assert read(first + 1) == 9 | 8 << 96 | 7 << 160 | world.evm.time_s << 224


def test_roles_and_upgrade_have_namespaces_of_their_own(world: World) -> None:
    holder = world.evm.read_storage(
        world.currency, entry(namespace("florin.storage.Roles"), abi.ROLES["GOVERNOR"])
    )
    assert holder.to_bytes(20, "big") == GOVERNOR
    delay = world.evm.read_storage(world.currency, namespace("florin.storage.DelayedUpgrade") + 1)
    assert delay == 172_800 << 64
