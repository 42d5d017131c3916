"""Random call data for every function that decodes, encoded by eth-abi: an encoder that is not ours."""

from typing import Any

from eth_abi.abi import encode
from hypothesis import strategies as st

from contracts.batch import Entry, Record, pack, pack_fan_out, pack_grouped
from contracts.call_reading import Function, Parameter, functions_of
from contracts.settlement import CyclePayment, net_positions, pack_payments, pack_positions
from wallet_node.intents.call_movements import readable_signatures
from wallet_node.intents.movements import CURRENCY, NOTARY, SETTLEMENT, TRADES

ARTIFACTS = {
    CURRENCY: ("DigitalCurrency", "Administration"),
    NOTARY: ("Notary",),
    SETTLEMENT: ("Settlement",),
    TRADES: ("Trades",),
}

ADDRESSES = st.binary(min_size=20, max_size=20)
WORDS = st.binary(min_size=32, max_size=32)
AMOUNTS = st.integers(0, 2**40 - 1)
PARTICIPANTS = st.integers(1, 2**16 - 1)

RECORDS = st.builds(Record, ADDRESSES, AMOUNTS, st.integers(0, 2**32 - 1), WORDS, WORDS)
ENTRIES = st.builds(Entry, ADDRESSES, AMOUNTS)


@st.composite
def _groups(draw: st.DrawFn) -> bytes:
    groups = []
    for _ in range(draw(st.integers(0, 3))):
        payee = draw(ADDRESSES)
        groups.append(
            [each._replace(payee=payee) for each in draw(st.lists(RECORDS, min_size=1, max_size=3))]
        )
    flat = draw(st.lists(RECORDS, min_size=0 if groups else 1, max_size=2))
    return pack_grouped(groups, flat)


_CYCLE = st.lists(
    st.builds(CyclePayment, PARTICIPANTS, PARTICIPANTS, st.integers(0, 2**64 - 1)), min_size=1, max_size=6
)
PACKED = {
    "records": st.lists(RECORDS, min_size=1, max_size=4).map(pack),
    "groups": _groups(),
    "payments": st.lists(ENTRIES, min_size=1, max_size=4).map(pack_fan_out),
    "positions": _CYCLE.map(net_positions).map(pack_positions),
}


def _word(kind: str) -> st.SearchStrategy[Any]:
    if kind == "address":
        return ADDRESSES
    if kind == "bytes32":
        return WORDS
    bits = int(kind.removeprefix("uint"))
    return st.one_of(st.integers(0, 2**bits - 1), st.sampled_from((0, 1, 2**bits - 1)))


def _value(parameter: Parameter) -> st.SearchStrategy[Any]:
    if parameter.members:
        element: st.SearchStrategy[Any] = st.tuples(*map(_value, parameter.members))
    elif parameter.kind == "bytes":
        element = PACKED.get(parameter.name, st.binary(max_size=70))
    else:
        element = _word(parameter.kind.removesuffix("[]"))
    return st.lists(element, min_size=1, max_size=4) if parameter.is_array else element


def arguments(function: Function) -> st.SearchStrategy[tuple[Any, ...]]:
    if function.signature.startswith("settleGross"):
        return st.tuples(st.integers(0, 2**64 - 1), _CYCLE.map(pack_payments)).map(
            lambda drawn: (drawn[0], *drawn[1])
        )
    return st.tuples(*map(_value, function.inputs))


def encoded(selector: bytes, function: Function, values: tuple[Any, ...]) -> bytes:
    return selector + encode([each.kind for each in function.inputs], values)


@st.composite
def calls(draw: st.DrawFn, target: str | None = None) -> tuple[str, Function, bytes]:
    """A contract's name, one of its functions, and call data for it."""
    chosen = draw(st.sampled_from(sorted(ARTIFACTS))) if target is None else target
    readable = readable_signatures(chosen)
    functions = {
        selector: each
        for selector, each in functions_of(*ARTIFACTS[chosen]).items()
        if each.signature in readable
    }
    selector = draw(st.sampled_from(sorted(functions)))
    function = functions[selector]
    return chosen, function, encoded(selector, function, draw(arguments(function)))


def values_of(function: Function, arguments: dict[str, Any]) -> tuple[Any, ...]:
    """What was read, as eth-abi takes it."""
    return tuple(_plain(arguments[each.name]) for each in function.inputs)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(map(_plain, value.values()))
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
