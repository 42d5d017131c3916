"""The one place that knows how the token is called: artifacts, selectors, call data, and what came back.

Addresses are 20 bytes, amounts integers in minor units. Events are in contracts.events, the account word in
contracts.accounts; both are offered here as well. web3 is not imported.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from eth_hash.auto import keccak

from contracts.accounts import AccountFlag, AccountWord, decode_account_word, encode_account_word
from contracts.events import (
    AccountFrozen,
    AccountMoved,
    AccountRegistered,
    AccountUnfrozen,
    AdministrativeEvent,
    AuthorizationCanceled,
    AuthorizationUsed,
    BatchSettled,
    Event,
    FundsHeldUnderOrder,
    FundsReleased,
    MintAllowanceChanged,
    OrderRegistered,
    OrderRevoked,
    ParticipantSet,
    ParticipantStandingChanged,
    PauseChanged,
    Skipped,
    TierSet,
    Transfer,
    TransferForced,
    UnknownEvent,
    Waterfall,
    decode_logs,
    topic_of,
)
from contracts.words import encode_address as _address
from contracts.words import encode_word as _word
from contracts.words import pad as _padded
from contracts.words import split_words

__all__ = [
    "ROLES",
    "SELECTORS",
    "AccountFlag",
    "AccountFrozen",
    "AccountMoved",
    "AccountRegistered",
    "AccountUnfrozen",
    "AccountWord",
    "AdministrativeEvent",
    "AuthorizationCanceled",
    "AuthorizationUsed",
    "BatchSettled",
    "Event",
    "FundsHeldUnderOrder",
    "FundsReleased",
    "MintAllowanceChanged",
    "OrderRegistered",
    "OrderRevoked",
    "ParticipantSet",
    "ParticipantStandingChanged",
    "PauseChanged",
    "Skipped",
    "TierSet",
    "TierVersion",
    "Transfer",
    "TransferForced",
    "UnknownEvent",
    "Waterfall",
    "decode_account_word",
    "decode_logs",
    "decode_revert",
    "decode_tier_versions",
    "decode_uint",
    "decode_words",
    "encode_account_word",
    "load_abi",
    "load_artifact",
    "topic_of",
]

ARTIFACTS = Path(__file__).parent / "artifacts"

ROLES = {
    name: keccak(name.encode())
    for name in ("GOVERNOR", "ISSUER", "PAUSER", "UPGRADER", "SUPERVISOR", "REGISTRAR")
}


@cache
def load_artifact(name: str) -> Mapping[str, Any]:
    """Return a committed artifact, such as "DigitalCurrency" or "ERC1967Proxy" (see contracts.compile)."""
    artifact: Mapping[str, Any] = json.loads((ARTIFACTS / f"{name}.json").read_bytes())
    return artifact


# The token's address answers for both.
HALVES = ("DigitalCurrency", "Administration")

# The contracts whose custom errors are read by name; equal names mean the same in all of them.
REVERTING = (*HALVES, "Settlement", "Trades", "Notary")


def load_abi(*names: str) -> list[dict[str, Any]]:
    """Return the JSON ABI of the named contracts together; by default the token's, of both halves."""
    entries: list[dict[str, Any]] = []
    for name in names or HALVES:
        entries += [entry for entry in load_artifact(name)["abi"] if entry not in entries]
    return entries


SELECTORS: dict[str, bytes] = {
    signature: bytes.fromhex(selector)
    for half in HALVES
    for signature, selector in load_artifact(half)["methodIdentifiers"].items()
}


# ------------------------------------------------------------------------------------------ creation


def administration_creation_code() -> bytes:
    """Return the data of the transaction that creates the half which roles and participants administer."""
    return bytes.fromhex(load_artifact("Administration")["bytecode"][2:])


def implementation_creation_code(administration: bytes, name: str, *, emits_transfers: bool = True) -> bytes:
    """Return the data of the transaction that creates the implementation, which needs its other half first.

    ``name`` is the currency's, as ``encode_initialize`` gives it: every signature's domain has it. Without
    ``emits_transfers``, one event tells of a whole batch (IPayments.settle).
    """
    artifact = load_artifact("DigitalCurrency" if emits_transfers else "DigitalCurrencyWithBatchEvents")
    text = name.encode()
    arguments = _address(administration) + _word(64) + _word(len(text)) + _padded(text)
    return bytes.fromhex(artifact["bytecode"][2:]) + arguments


def proxy_creation_code(implementation: bytes, initialisation: bytes) -> bytes:
    """Return the data of the transaction that creates the proxy and initialises it (encode_initialize)."""
    arguments = _address(implementation) + _word(64) + _word(len(initialisation)) + _padded(initialisation)
    return bytes.fromhex(load_artifact("ERC1967Proxy")["bytecode"][2:]) + arguments


def encode_initialize(
    name: str, symbol: str, decimals: int, holders: Sequence[bytes], upgrade_delay_s: int
) -> bytes:
    """Initialise a proxy; its constructor makes this call.

    ``holders`` are the first governor, issuer, pauser, upgrader, supervisor and registrar.
    """
    signature = "initialize((string,string,uint8,address,address,address,address,address,address,uint32))"
    strings = [_word(len(text)) + _padded(text) for text in (name.encode(), symbol.encode())]
    head = _word(320) + _word(320 + len(strings[0])) + _word(decimals)
    roles = b"".join(map(_address, holders))
    return SELECTORS[signature] + _word(32) + head + roles + _word(upgrade_delay_s) + b"".join(strings)


# ------------------------------------------------------------------------------------------ calls


def encode_settle(records: bytes, valid_before_s: int) -> bytes:
    """Settle packed records (contracts.batch.pack), executable strictly before ``valid_before_s``."""
    head = SELECTORS["settle(bytes,uint64)"] + _word(64) + _word(valid_before_s)
    return head + _word(len(records)) + _padded(records)


def encode_settle_grouped(groups: bytes, valid_before_s: int) -> bytes:
    """Settle payments grouped by payee (contracts.batch.pack_grouped)."""
    head = SELECTORS["settleGrouped(bytes,uint64)"] + _word(64) + _word(valid_before_s)
    return head + _word(len(groups)) + _padded(groups)


def encode_settle_fan_out(payments: bytes, nonce: int, valid_before_s: int, r: bytes, vs: bytes) -> bytes:
    """Settle one payer's payments to many (contracts.batch.pack_fan_out), all under one signature."""
    if len(r) != 32 or len(vs) != 32:
        raise ValueError("r and vs have 32 bytes each")
    selector = SELECTORS["settleFanOut(bytes,uint32,uint64,bytes32,bytes32)"]
    head = selector + _word(160) + _word(nonce) + _word(valid_before_s) + r + vs
    return head + _word(len(payments)) + _padded(payments)


def encode_register(accounts: Sequence[bytes], tier: int, flags: int) -> bytes:
    """Register accounts, or change the tier and LINKED of one's own. ``flags`` is 0 or AccountFlag.LINKED."""
    head = SELECTORS["register(address[],uint8,uint24)"] + _word(96) + _word(tier) + _word(flags)
    return head + _word(len(accounts)) + b"".join(map(_address, accounts))


def encode_mint(amount_minor: int) -> bytes:
    """Mint to the calling institution, within its allowance."""
    return SELECTORS["mint(uint256)"] + _word(amount_minor)


def encode_burn(amount_minor: int) -> bytes:
    """Burn from the calling institution: a return to the central bank."""
    return SELECTORS["burn(uint256)"] + _word(amount_minor)


def encode_set_tier(
    tier: int, holding_limit_minor: int, per_payment_limit_minor: int, daily_limit_minor: int
) -> bytes:
    """Set a tier's limits (governor)."""
    words = (tier, holding_limit_minor, per_payment_limit_minor, daily_limit_minor)
    return SELECTORS["setTier(uint8,uint96,uint64,uint64)"] + b"".join(map(_word, words))


def encode_set_participant(participant: int, institution: bytes, tier: int, tier_mask: int) -> bytes:
    """Create or change a participant (governor). Bit t of ``tier_mask`` lets it grant tier t."""
    selector = SELECTORS["setParticipant(uint16,address,uint8,uint256)"]
    return selector + _word(participant) + _address(institution) + _word(tier) + _word(tier_mask)


def encode_increase_mint_allowance(participant: int, amount_minor: int) -> bytes:
    """Approve more minting (issuer)."""
    return SELECTORS["increaseMintAllowance(uint16,uint256)"] + _word(participant) + _word(amount_minor)


def encode_decrease_mint_allowance(participant: int, amount_minor: int) -> bytes:
    """Take back an unused approval (issuer)."""
    return SELECTORS["decreaseMintAllowance(uint16,uint256)"] + _word(participant) + _word(amount_minor)


def encode_pause() -> bytes:
    """Stop all movement of money (pauser)."""
    return SELECTORS["pause()"]


def encode_unpause() -> bytes:
    """Restart it (pauser)."""
    return SELECTORS["unpause()"]


def encode_transfer(payee: bytes, amount_minor: int) -> bytes:
    """ERC-20 transfer."""
    return SELECTORS["transfer(address,uint256)"] + _address(payee) + _word(amount_minor)


def encode_approve(spender: bytes, amount_minor: int) -> bytes:
    """ERC-20 approve."""
    return SELECTORS["approve(address,uint256)"] + _address(spender) + _word(amount_minor)


def encode_transfer_from(payer: bytes, payee: bytes, amount_minor: int) -> bytes:
    """ERC-20 transferFrom."""
    selector = SELECTORS["transferFrom(address,address,uint256)"]
    return selector + _address(payer) + _address(payee) + _word(amount_minor)


def encode_offer_role(role: bytes, candidate: bytes) -> bytes:
    """Offer one's role (ROLES gives its id); twenty zero bytes withdraw the offer."""
    return SELECTORS["offerRole(bytes32,address)"] + role + _address(candidate)


def encode_accept_role(role: bytes) -> bytes:
    """Take an offered role."""
    return SELECTORS["acceptRole(bytes32)"] + role


def encode_propose_upgrade(implementation: bytes, data: bytes = b"") -> bytes:
    """Propose an implementation and the call that initialises it (upgrader)."""
    return _encode_upgrade("proposeUpgrade(address,bytes)", implementation, data)


def encode_upgrade(implementation: bytes, data: bytes = b"") -> bytes:
    """Execute exactly what was proposed, after the delay (upgrader)."""
    return _encode_upgrade("upgradeToAndCall(address,bytes)", implementation, data)


def _encode_upgrade(signature: str, implementation: bytes, data: bytes) -> bytes:
    head = SELECTORS[signature] + _address(implementation) + _word(64)
    return head + _word(len(data)) + _padded(data)


def encode_cancel_upgrade() -> bytes:
    """Drop the proposal that waits (upgrader or governor)."""
    return SELECTORS["cancelUpgrade()"]


# ------------------------------------------------------------------------------------------ views


def encode_account_words(accounts: Sequence[bytes]) -> bytes:
    """Read account words; the answer goes through ``decode_words`` and ``decode_account_word``."""
    head = SELECTORS["accountWords(address[])"] + _word(32) + _word(len(accounts))
    return head + b"".join(map(_address, accounts))


def encode_balance_of(account: bytes) -> bytes:
    """Read one balance."""
    return SELECTORS["balanceOf(address)"] + _address(account)


def encode_mint_allowance(participant: int) -> bytes:
    """Read what a participant may still mint."""
    return SELECTORS["mintAllowance(uint16)"] + _word(participant)


def encode_tier(tier: int) -> bytes:
    """Read a tier's limits; the answer is three words."""
    return SELECTORS["tier(uint8)"] + _word(tier)


class TierVersion(NamedTuple):
    """A tier's limits from ``since_s`` until the next version's. A daily limit of 2**64 - 1 means none."""

    since_s: int
    holding_limit_minor: int
    per_payment_limit_minor: int
    daily_limit_minor: int


def encode_tier_versions(tier: int) -> bytes:
    """Read every version of a tier's limits; the answer goes through ``decode_tier_versions``."""
    return SELECTORS["tierVersions(uint8)"] + _word(tier)


def decode_tier_versions(returned: bytes) -> list[TierVersion]:
    """Decode a tier's versions, the oldest first. Raises ValueError where bytes are missing or left over."""
    start, count, *words = split_words(returned) if len(returned) >= 64 else (0, 0)
    if start != 32 or len(words) != 4 * count:
        raise ValueError(f"versions of a tier expected, {len(returned)} bytes returned")
    return [TierVersion(*words[at : at + 4]) for at in range(0, len(words), 4)]


def encode_participant(participant: int) -> bytes:
    """Read a participant: institution's address, its tier, its tier mask; three words."""
    return SELECTORS["participant(uint16)"] + _word(participant)


def encode_total_supply() -> bytes:
    """Read the total supply."""
    return SELECTORS["totalSupply()"]


def encode_paused() -> bytes:
    """Read whether the currency is paused; one word."""
    return SELECTORS["paused()"]


def encode_domain_separator() -> bytes:
    """Read the EIP-712 domain separator; one word."""
    return SELECTORS["DOMAIN_SEPARATOR()"]


def encode_emits_transfers() -> bytes:
    """Read whether Transfers tell of the payments of a batch; one word."""
    return SELECTORS["emitsTransfers()"]


def encode_restriction(account: bytes) -> bytes:
    """Read what all orders together do to an account: what they hold, how many freeze it; two words."""
    return SELECTORS["restriction(address)"] + _address(account)


def encode_role_holder(role: bytes) -> bytes:
    """Read who holds a role."""
    return SELECTORS["roleHolder(bytes32)"] + role


def decode_uint(returned: bytes) -> int:
    """Decode one word. Raises ValueError if it is something else (an account without code, say)."""
    if len(returned) != 32:
        raise ValueError(f"one word expected, {len(returned)} bytes returned")
    return int.from_bytes(returned, "big")


def decode_words(returned: bytes) -> list[int]:
    """Decode a returned uint256[]. Raises ValueError where bytes are missing or left over."""
    if len(returned) < 64 or int.from_bytes(returned[:32], "big") != 32:
        raise ValueError(f"an array of words expected, {len(returned)} bytes returned")
    count = int.from_bytes(returned[32:64], "big")
    if len(returned) != 64 + 32 * count:
        raise ValueError(f"{count} words announced, {len(returned)} bytes returned")
    return [int.from_bytes(returned[at : at + 32], "big") for at in range(64, len(returned), 32)]


# ------------------------------------------------------------------------------------------ reverts


@cache
def _errors() -> dict[bytes, tuple[str, list[str], list[str]]]:
    described = [
        (
            entry["name"],
            [field["type"] for field in entry["inputs"]],
            [field["name"] for field in entry["inputs"]],
        )
        for contract in REVERTING
        for entry in load_artifact(contract)["abi"]
        if entry["type"] == "error"
    ]
    described += [("Error", ["string"], ["reason"]), ("Panic", ["uint256"], ["panicCode"])]
    return {
        keccak(f"{name}({','.join(types)})".encode())[:4]: (name, types, names)
        for name, types, names in described
    }


def decode_revert(data: bytes) -> tuple[str, dict[str, Any]]:
    """Return the code of a revert (the custom error's name) and its arguments by name; addresses as bytes.

    What cannot be read is ("UnknownRevert", {"data": data}); an empty revert is ("EmptyRevert", {}).
    """
    from eth_abi.abi import decode
    from eth_abi.exceptions import DecodingError

    if not data:
        return "EmptyRevert", {}
    name, types, names = _errors().get(data[:4], ("UnknownRevert", [], []))
    if name == "UnknownRevert":
        return name, {"data": data}
    try:
        values = decode(types, data[4:])
    except DecodingError:
        return "UnknownRevert", {"data": data}
    return name, {
        field: bytes.fromhex(value[2:]) if kind == "address" else value
        for field, kind, value in zip(names, types, values, strict=True)
    }
