"""What calls of Settlement, Trades and the Notary move; the currency's own are in `call_movements`. Pure."""

from collections.abc import Mapping
from typing import Any

from contracts.abi import ROLES
from contracts.call_reading import MalformedCall
from contracts.settlement import (
    NEVER_EXPIRES_S,
    OPERATOR_ROLE,
    MalformedCycle,
    Priority,
    pack_payments,
    unpack_payments,
    unpack_positions,
)
from contracts.trades import MAX_LEGS
from wallet_node.intents.movements import Kind, Movement, Movements, Reader, Setting

_ROLE_NAMES = {role: name for name, role in ROLES.items()} | {OPERATOR_ROLE: "OPERATOR"}
_PRIORITIES = {priority.value: priority.name.lower().replace("_", " ") for priority in Priority}


def role_name(role: bytes) -> str:
    """A role as officers know it, or its id where there is none of that name."""
    return _ROLE_NAMES.get(role, "0x" + role.hex())


def _priority(number: int) -> str:
    return _PRIORITIES.get(number, str(number))


def _submitted(setting: Setting, arguments: Mapping[str, Any]) -> Movements:
    expiry_s: int = arguments["expiry"]
    detail = {
        "payment": arguments["paymentId"],
        "payee_participant": arguments["payee"],
        "priority": _priority(arguments["priority"]),
    }
    return (
        Movement(
            Kind.SETTLEMENT_PAYMENT,
            payer=setting.caller,
            amount_minor=arguments["amount"],
            until_s=None if expiry_s == NEVER_EXPIRES_S else expiry_s,
            detail=detail,
        ),
    )


def _settled_net(_: Setting, arguments: Mapping[str, Any]) -> Movements:
    positions = unpack_positions(arguments["positions"])
    if not positions or sum(positions.values()) != 0:
        raise MalformedCycle("the positions of a cycle are some, and sum to zero")
    return tuple(
        Movement(
            Kind.NET_POSITION,
            amount_minor=abs(position),
            detail={
                "cycle": arguments["cycle"],
                "participant": participant,
                "direction": "receives" if position > 0 else "gives",
                "payments_root": arguments["paymentsRoot"],
            },
        )
        for participant, position in positions.items()
    )


def _settled_gross(_: Setting, arguments: Mapping[str, Any]) -> Movements:
    packed = arguments["participants"], arguments["payments"]
    payments = unpack_payments(*packed)
    if not payments or pack_payments(payments) != packed:
        raise MalformedCycle("a cycle lists those who pay or are paid, in ascending order, and no others")
    return tuple(
        Movement(
            Kind.CYCLE_PAYMENT,
            amount_minor=payment.amount_minor,
            detail={
                "cycle": arguments["cycle"],
                "payer_participant": payment.payer,
                "payee_participant": payment.payee,
            },
        )
        for payment in payments
    )


def _queued(kind: Kind) -> Reader:
    return lambda _, given: (Movement(kind, detail={"payment": given["paymentId"]}),)


def _several(kind: Kind) -> Reader:
    return lambda _, given: (Movement(kind, detail={"payments": given["paymentIds"]}),)


SETTLEMENT_CALLS: dict[str, Reader] = {
    "deposit(uint64)": lambda setting, given: (
        Movement(Kind.SETTLEMENT_DEPOSIT, setting.caller, setting.contract, given["amount"]),
    ),
    "withdraw(uint64)": lambda setting, given: (
        Movement(Kind.SETTLEMENT_WITHDRAWAL, setting.contract, setting.caller, given["amount"]),
    ),
    "setNetDebitCap(uint64)": lambda setting, given: (
        Movement(Kind.NET_DEBIT_CAP_SET, setting.caller, amount_minor=given["netDebitCap"]),
    ),
    "submit(bytes32,uint16,uint64,uint8,uint64)": _submitted,
    "hold(bytes32)": _queued(Kind.QUEUE_HELD),
    "resume(bytes32)": _queued(Kind.QUEUE_RESUMED),
    "cancel(bytes32)": _queued(Kind.QUEUE_CANCELLED),
    "reprioritise(bytes32,uint8)": lambda _, given: (
        Movement(
            Kind.QUEUE_REPRIORITISED,
            detail={"payment": given["paymentId"], "priority": _priority(given["priority"])},
        ),
    ),
    "expire(bytes32[])": _several(Kind.QUEUE_EXPIRED),
    "resolve(bytes32[])": _several(Kind.QUEUE_RESOLVED),
    "settleNet(uint64,bytes32,bytes)": _settled_net,
    "settleGross(uint64,bytes,bytes)": _settled_gross,
    "offerRole(bytes32,address)": lambda setting, given: (
        Movement(
            Kind.ROLE_OFFERED, setting.caller, given["candidate"], detail={"role": role_name(given["role"])}
        ),
    ),
    "acceptRole(bytes32)": lambda setting, given: (
        Movement(Kind.ROLE_ACCEPTED, payee=setting.caller, detail={"role": role_name(given["role"])}),
    ),
}


def _proposed(_: Setting, arguments: Mapping[str, Any]) -> Movements:
    if not 0 < len(arguments["legs"]) <= MAX_LEGS:
        raise MalformedCall(f"a trade has 1 to {MAX_LEGS} legs")
    # A leg's token may be any: its units are not the currency's, so they are no amount_minor.
    return tuple(
        Movement(
            Kind.TRADE_LEG,
            leg["payer"],
            leg["payee"],
            until_s=arguments["expiry"],
            detail={"token": leg["token"], "units": leg["amount"], "salt": arguments["salt"]},
        )
        for leg in arguments["legs"]
    )


def _trade(kind: Kind) -> Reader:
    return lambda setting, given: (Movement(kind, payer=setting.caller, detail={"trade": given["tradeId"]}),)


TRADES_CALLS: dict[str, Reader] = {
    "proposeTrade((address,address,address,uint256)[],uint64,bytes32)": _proposed,
    "affirm(bytes32)": _trade(Kind.TRADE_AFFIRMED),
    "executeTrade(bytes32)": _trade(Kind.TRADE_EXECUTED),
    "cancelTrade(bytes32)": _trade(Kind.TRADE_CANCELLED),
}


def _anchored(_: Setting, arguments: Mapping[str, Any]) -> Movements:
    log: bytes = arguments["log"]
    name = log.rstrip(b"\0")
    detail = {
        "log": name.decode() if name.isalnum() and name.isascii() else "0x" + log.hex(),
        "size": arguments["size"],
        "root": arguments["root"],
    }
    return (Movement(Kind.ANCHOR, detail=detail),)


NOTARY_CALLS: dict[str, Reader] = {"anchor(bytes32,uint64,bytes32)": _anchored}
