"""What a call moves: call data of the bound contracts -> movements, or why it cannot be read. Pure.

Reading is strict (`contracts.call_reading`): bytes that no encoder of ours would write are refused, also
inside packed batches, so that what was read is all that was signed.
"""

from collections.abc import Mapping
from typing import Any, TypeAlias

from contracts.accounts import AccountFlag
from contracts.batch import MalformedBatch
from contracts.call_reading import Function, MalformedCall, UnknownCall, functions_of, read_call
from contracts.settlement import MalformedCycle
from wallet_node.addresses import checksummed
from wallet_node.errors import Refusal
from wallet_node.intents.batch_movements import settle, settle_fan_out, settle_grouped
from wallet_node.intents.movements import (
    CURRENCY,
    NOTARY,
    SETTLEMENT,
    TRADES,
    Kind,
    Movement,
    Movements,
    Reader,
    Setting,
)
from wallet_node.intents.settlement_movements import NOTARY_CALLS, SETTLEMENT_CALLS, TRADES_CALLS, role_name

Arguments: TypeAlias = Mapping[str, Any]


def transaction_movements(
    target: str, setting: Setting, data: bytes, value_wei: int = 0
) -> Movements | Refusal:
    """What a transaction moves: its value, and its call if there is one.

    `target` is what the policy calls the contract at its address (`Deployment.target`). Refused is what
    cannot be read: `UnknownCall` or `MalformedCall`.
    """
    ether: Movements = ()
    if value_wei:
        ether = (Movement(Kind.ETHER, setting.caller, setting.contract, detail={"wei": value_wei}),)
    if data:
        called = call_movements(target, setting, data)
        return called if isinstance(called, Refusal) else (*ether, *called)
    if setting.contract == setting.caller and not value_wei:
        return (Movement(Kind.NONCE_USED, setting.caller),)
    return ether or Refusal("UnknownCall", "a transaction without data and without value calls nothing")


def call_movements(target: str, setting: Setting, data: bytes) -> Movements | Refusal:
    """What a call moves. Refused is what cannot be read: `UnknownCall` or `MalformedCall`."""
    known = _CALLS.get(target)
    if known is None:
        return Refusal("UnknownCall", "nothing can be read that is sent to an address of no bound contract")
    functions, readers = known
    try:
        call = read_call(functions, data)
        return readers[call.signature](setting, call.arguments)
    except UnknownCall as error:
        return Refusal("UnknownCall", f"{error} on the {target}")
    except (MalformedCall, MalformedBatch, MalformedCycle) as error:
        return Refusal("MalformedCall", str(error))


def readable_signatures(target: str) -> frozenset[str]:
    """The functions of a contract that decode."""
    return frozenset(_CALLS[target][1])


def _called(
    *artifacts: str, readers: dict[str, Reader]
) -> tuple[Mapping[bytes, Function], dict[str, Reader]]:
    """The functions that have a reader, by selector: no view, and nothing that is never signed."""
    functions = functions_of(*artifacts)
    return {selector: each for selector, each in functions.items() if each.signature in readers}, readers


# --- payments of the single path ----------------------------------------------------------------------------


def _authorized(_: Setting, arguments: Arguments) -> Movements:
    detail = {"nonce": arguments["nonce"], "valid_after_s": arguments["validAfter"]}
    payer, payee, until_s = arguments["from"], arguments["to"], arguments["validBefore"]
    return (Movement(Kind.TRANSFER, payer, payee, arguments["value"], until_s, detail),)


def _cancelled(_: Setting, arguments: Arguments) -> Movements:
    detail = {"nonce": arguments["nonce"]}
    return (Movement(Kind.AUTHORIZATION_CANCELLED, arguments["authorizer"], detail=detail),)


# --- administration -----------------------------------------------------------------------------------------


def _tier_set(_: Setting, arguments: Arguments) -> Movements:
    detail = {
        "tier": arguments["id"],
        "holding_limit_minor": arguments["holdingLimit"],
        "per_payment_limit_minor": arguments["perPaymentLimit"],
        "daily_limit_minor": arguments["dailyLimit"],
    }
    return (Movement(Kind.TIER_SET, detail=detail),)


def _participant_set(_: Setting, arguments: Arguments) -> Movements:
    mask: int = arguments["tierMask"]
    tiers = tuple(tier for tier in range(mask.bit_length()) if mask >> tier & 1)
    detail = {"participant": arguments["id"], "tier": arguments["tier_"], "tiers": tiers}
    return (Movement(Kind.PARTICIPANT_SET, payee=arguments["institution"], detail=detail),)


def _registered(_: Setting, arguments: Arguments) -> Movements:
    detail = {
        "tier": arguments["tier_"],
        "linked": flags_in_words(arguments["flags"]),
        "accounts": arguments["owners"],
    }
    return (Movement(Kind.ACCOUNTS_REGISTERED, detail=detail),)


def _moved(setting: Setting, arguments: Arguments) -> Movements:
    move: Arguments = arguments["to"]
    detail = {
        "destination": f"the bank {checksummed(setting.caller)}",
        "tier": move["tier"],
        "linked": flags_in_words(move["flags"]),
        "nonce": move["nonce"],
    }
    until_s = move["validBefore"]
    return (Movement(Kind.ACCOUNT_MOVED, move["owner"], setting.caller, until_s=until_s, detail=detail),)


def flags_in_words(flags: int) -> str:
    """What the flags of a registration say."""
    return {0: "not linked", int(AccountFlag.LINKED): "linked"}.get(flags, f"with the flags {flags}")


def _participant(kind: Kind) -> Reader:
    return lambda _, given: (Movement(kind, detail={"participant": given["id"]}),)


def _mint_allowance(kind: Kind) -> Reader:
    return lambda _, given: (
        Movement(kind, amount_minor=given["amount"], detail={"participant": given["id"]}),
    )


def _order(kind: Kind) -> Reader:
    return lambda _, given: (
        Movement(kind, given.get("owner"), amount_minor=given.get("amount"), detail={"order": given["id"]}),
    )


def _upgrade(kind: Kind) -> Reader:
    return lambda _, given: (
        Movement(kind, payee=given["implementation"], detail={"data": "0x" + given["data"].hex()}),
    )


def _plain(kind: Kind) -> Reader:
    return lambda *_: (Movement(kind),)


_AUTHORIZATION = "address,address,uint256,uint256,uint256,bytes32"
_KEY_SIGNATURE = "uint8,bytes32,bytes32"

_CURRENCY_CALLS: dict[str, Reader] = {
    "settle(bytes,uint64)": settle,
    "settleGrouped(bytes,uint64)": settle_grouped,
    "settleFanOut(bytes,uint32,uint64,bytes32,bytes32)": settle_fan_out,
    "transfer(address,uint256)": lambda setting, given: (
        Movement(Kind.TRANSFER, setting.caller, given["payee"], given["amount"]),
    ),
    "transferFrom(address,address,uint256)": lambda setting, given: (
        Movement(
            Kind.TRANSFER,
            given["payer"],
            given["payee"],
            given["amount"],
            detail={"spender": setting.caller},
        ),
    ),
    "approve(address,uint256)": lambda setting, given: (
        Movement(Kind.ALLOWANCE, setting.caller, given["spender"], given["amount"]),
    ),
    f"permit(address,address,uint256,uint256,{_KEY_SIGNATURE})": lambda _, given: (
        Movement(Kind.ALLOWANCE, given["owner"], given["spender"], given["value"], given["deadline"]),
    ),
    f"transferWithAuthorization({_AUTHORIZATION},bytes)": _authorized,
    f"transferWithAuthorization({_AUTHORIZATION},{_KEY_SIGNATURE})": _authorized,
    f"receiveWithAuthorization({_AUTHORIZATION},bytes)": _authorized,
    f"receiveWithAuthorization({_AUTHORIZATION},{_KEY_SIGNATURE})": _authorized,
    "cancelAuthorization(address,bytes32,bytes)": _cancelled,
    f"cancelAuthorization(address,bytes32,{_KEY_SIGNATURE})": _cancelled,
    "mint(uint256)": lambda setting, given: (
        Movement(Kind.MINT, payee=setting.caller, amount_minor=given["amount"]),
    ),
    "burn(uint256)": lambda setting, given: (
        Movement(Kind.BURN, payer=setting.caller, amount_minor=given["amount"]),
    ),
    "increaseMintAllowance(uint16,uint256)": _mint_allowance(Kind.MINT_ALLOWANCE_RAISED),
    "decreaseMintAllowance(uint16,uint256)": _mint_allowance(Kind.MINT_ALLOWANCE_LOWERED),
    "setTier(uint8,uint96,uint64,uint64)": _tier_set,
    "setParticipant(uint16,address,uint8,uint256)": _participant_set,
    "suspendParticipant(uint16)": _participant(Kind.PARTICIPANT_SUSPENDED),
    "reinstateParticipant(uint16)": _participant(Kind.PARTICIPANT_REINSTATED),
    "setSystemAccount(address,uint8)": lambda _, given: (
        Movement(Kind.SYSTEM_ACCOUNT_SET, payee=given["owner"], detail={"tier": given["tier_"]}),
    ),
    "register(address[],uint8,uint24)": _registered,
    "moveAccount((address,uint8,uint24,uint32,uint64),bytes)": _moved,
    "registerOrder(bytes32,address,uint96,uint64)": lambda _, given: (
        Movement(
            Kind.ORDER_REGISTERED,
            payee=given["authority"],
            amount_minor=given["cap"],
            until_s=given["expiry"],
            detail={"order": given["id"]},
        ),
    ),
    "revokeOrder(bytes32)": _order(Kind.ORDER_REVOKED),
    "freeze(bytes32,address)": _order(Kind.FROZEN),
    "unfreeze(bytes32,address)": _order(Kind.UNFROZEN),
    "hold(bytes32,address,uint96)": _order(Kind.HELD),
    "release(bytes32,address,uint96)": _order(Kind.RELEASED),
    "forceTransfer(bytes32,address,address,uint96)": lambda _, given: (
        Movement(
            Kind.FORCED_TRANSFER,
            given["payer"],
            given["payee"],
            given["amount"],
            detail={"order": given["id"]},
        ),
    ),
    "pause()": _plain(Kind.PAUSED),
    "unpause()": _plain(Kind.UNPAUSED),
    "proposeUpgrade(address,bytes)": _upgrade(Kind.UPGRADE_PROPOSED),
    "upgradeToAndCall(address,bytes)": _upgrade(Kind.UPGRADED),
    "cancelUpgrade()": _plain(Kind.UPGRADE_CANCELLED),
    "offerRole(bytes32,address)": lambda setting, given: (
        Movement(
            Kind.ROLE_OFFERED, setting.caller, given["candidate"], detail={"role": role_name(given["role"])}
        ),
    ),
    "acceptRole(bytes32)": lambda setting, given: (
        Movement(Kind.ROLE_ACCEPTED, payee=setting.caller, detail={"role": role_name(given["role"])}),
    ),
}

_CALLS = {
    CURRENCY: _called("DigitalCurrency", "Administration", readers=_CURRENCY_CALLS),
    NOTARY: _called("Notary", readers=NOTARY_CALLS),
    SETTLEMENT: _called("Settlement", readers=SETTLEMENT_CALLS),
    TRADES: _called("Trades", readers=TRADES_CALLS),
}
