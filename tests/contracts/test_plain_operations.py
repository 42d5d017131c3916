"""The short way through py-evm ends where py-evm's own way ends.

plain operations
├── of every kind, in any order, with any gas: the same error, gas, stack, memory, output and storage
│   └── also the second time, when what is known of the code is used
├── cost what py-evm says that they cost
└── at the edges of stack, gas, memory, code and words do the same, each by itself
"""

from collections.abc import Iterable
from typing import Any

import pytest
from eth.vm import opcode_values as op
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.message import Message
from eth.vm.stack import to_int
from eth.vm.transaction_context import BaseTransactionContext
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import plain_operations as plain
from contracts.local_evm import LocalEvm
from contracts.plain_operations import PlainComputation

CONTRACT, CALLER = b"\xcc" * 20, b"\xca" * 20
GAS = 100_000
PUSHES, DUPS, SWAPS = (range(first, first + 16 * n) for first, n in ((0x60, 2), (0x80, 1), (0x90, 1)))
WORDS = [op.ISZERO, op.NOT, op.POP, op.MLOAD, op.MSTORE, op.CALLDATALOAD, op.PUSH0, op.JUMPDEST]
PLAIN = [*plain.BINARY, *WORDS]
OTHERS = [op.SHA3, op.SLOAD, op.SSTORE, op.CALLDATASIZE, op.CALLER, op.GAS, op.MSIZE, op.PC, op.MSTORE8]
OTHERS += [op.SAR, op.ADDMOD, op.EXP, op.SIGNEXTEND, op.SLT, op.RETURN, op.REVERT, op.STOP, op.LOG1, 0x0C]
EDGES = [0, 1, 2, 31, 32, 255, 256, 2**64, 2**255, 2**256 - 1]


@pytest.fixture(scope="module")
def evm() -> LocalEvm:
    return LocalEvm()


def end(
    evm: LocalEvm, kind: type[PragueComputation], code: bytes, gas: int = GAS, data: bytes = b""
) -> dict[str, Any]:
    """How a code ends, after which the state is what it was."""
    state = evm._vm.state
    state.lock_changes()
    checkpoint = state.snapshot()
    state.touched = {}
    message = Message(gas=gas, to=CONTRACT, sender=CALLER, value=0, data=data, code=code)
    ended = kind.apply_computation(state, message, BaseTransactionContext(gas_price=0, origin=CALLER))
    found = {
        "error": type(ended._error),
        "gas": ended._gas_meter.gas_remaining,
        "stack": [to_int(each) for each in ended._stack.values],
        "memory": bytes(ended._memory._bytes),
        "output": bytes(ended.output),
        "logs": ended.get_log_entries(),
        "storage": [state.get_storage(CONTRACT, slot) for slot in (0, 1, 2)],
    }
    state.revert(checkpoint)
    return found


def same(evm: LocalEvm, code: bytes, gas: int = GAS, data: bytes = b"") -> dict[str, Any]:
    """How a code ends both ways, the short one also when the code is known."""
    expected = end(evm, PragueComputation, code, gas, data)
    for _ in range(2):
        found = end(evm, PlainComputation, code, gas, data)
        if expected["error"] is not type(None) and found["error"] is expected["error"]:
            # what is left on the stack of a computation that failed is seen by nobody
            found["stack"], found["memory"] = expected["stack"], expected["memory"]
        assert found == expected
    return expected


def push(number: int) -> bytes:
    size = max(1, (number.bit_length() + 7) // 8)
    return bytes([op.PUSH1 + size - 1]) + number.to_bytes(size)


NUMBERS = st.sampled_from(EDGES) | st.integers(0, 300) | st.integers(0, 2**256 - 1)
PARTS = st.one_of(
    NUMBERS.map(push),
    st.sampled_from([*PLAIN, *DUPS, *SWAPS]).map(lambda each: bytes([each])),
    st.sampled_from([op.JUMP, op.JUMPI]).map(lambda each: bytes([each])),
    st.tuples(st.integers(0, 120), st.sampled_from([op.JUMP, op.JUMPI])).map(
        lambda jump: push(jump[0]) + bytes([jump[1]])
    ),
    st.sampled_from(OTHERS).map(lambda each: bytes([each])),
    st.sampled_from(PUSHES).map(lambda each: bytes([each])),
)


def joined(parts: Iterable[bytes]) -> bytes:
    return b"".join(parts)


@given(
    start=st.lists(NUMBERS.map(push), max_size=12).map(joined),
    rest=st.lists(PARTS, max_size=60).map(joined),
    gas=st.sampled_from([GAS, 5_000]) | st.integers(0, 400),
    data=st.binary(max_size=80),
)
@settings(max_examples=400, deadline=None)
def test_a_random_code_ends_the_same(evm: LocalEvm, start: bytes, rest: bytes, gas: int, data: bytes) -> None:
    same(evm, start + rest, gas, data)


@given(code=st.binary(max_size=120), gas=st.integers(0, 2_000))
@settings(max_examples=200, deadline=None)
def test_random_bytes_end_the_same(evm: LocalEvm, code: bytes, gas: int) -> None:
    same(evm, code, gas)


@pytest.mark.parametrize("opcode", plain.BINARY, ids=lambda each: PRAGUE_OPCODES[each].mnemonic)
def test_two_words_give_the_same_word_at_every_edge(evm: LocalEvm, opcode: int) -> None:
    for first in EDGES:
        for second in EDGES:
            ended = same(evm, push(second) + push(first) + bytes([opcode]))
            assert len(ended["stack"]) == 1


def test_costs_are_py_evms() -> None:
    def gas(*opcodes: int) -> set[int]:
        return {PRAGUE_OPCODES[each].gas_cost for each in opcodes}

    words = (plain.ISZERO, plain.NOT, plain.MLOAD, plain.MSTORE, plain.CALLDATALOAD)
    assert gas(*words, *PUSHES, *DUPS, *SWAPS) == {plain.VERYLOW_GAS}
    assert gas(plain.PUSH0, plain.POP) == {plain.BASE_GAS}
    assert [gas(each) for each in (plain.JUMP, plain.JUMPI, plain.JUMPDEST)] == [
        {plain.JUMP_GAS},
        {plain.JUMPI_GAS},
        {plain.JUMPDEST_GAS},
    ]
    assert {each: cost for each, (cost, _) in plain.BINARY.items()} == {
        each: PRAGUE_OPCODES[each].gas_cost for each in plain.BINARY
    }


@pytest.mark.parametrize("opcode", [*PLAIN, op.JUMP, op.JUMPI, *PUSHES, *DUPS, *SWAPS])
def test_the_edges_of_stack_and_gas_are_the_same(evm: LocalEvm, opcode: int) -> None:
    code = bytes([opcode]) + bytes(range(1, 33))
    for height in (0, 1, 2, 15, 16, 17, 1023, 1024):
        same(evm, bytes([op.PUSH0]) * height + code)
    cost = PRAGUE_OPCODES[opcode].gas_cost
    for gas in (cost - 1, cost, cost + 1):
        same(evm, bytes([op.PUSH0]) * 17 + bytes([opcode]), 17 * plain.BASE_GAS + gas)


@pytest.mark.parametrize("size", [0, 31, 32, 33, 64])
@pytest.mark.parametrize("start", [0, 1, 31, 32, 33, 64, 2**64])
def test_the_edges_of_memory_and_data_are_the_same(evm: LocalEvm, size: int, start: int) -> None:
    grown = b"".join(push(each) + push(at) + bytes([op.MSTORE]) for at, each in ((0, 2**256 - 1), (32, 1)))
    for memory in (b"", grown[: len(grown) // 2], grown):
        for word in (push(7), bytes([op.CALLER])):
            same(evm, memory + word + push(start) + bytes([op.MSTORE]), data=b"\xff" * size)
        same(evm, memory + push(start) + bytes([op.MLOAD]), data=b"\xff" * size)
        same(evm, memory + push(start) + bytes([op.CALLDATALOAD]), data=b"\xff" * size)


def test_jumps_lead_where_py_evms_lead(evm: LocalEvm) -> None:
    landing = bytes([op.JUMPDEST, op.STOP])
    in_data = bytes([op.PUSH1, op.JUMPDEST])
    for target in range(12):
        for taken in (0, 1, 2**255):
            head = push(taken) + push(target) + bytes([op.JUMPI])
            ended = same(evm, head + in_data + landing)
        head = push(target) + bytes([op.JUMP])
        ended = same(evm, head + in_data + landing)
        assert (ended["error"] is type(None)) == (target == len(head) + 2)
    # The first landing makes it known that there is an operation before it: that is no landing, though.
    known = push(5) + bytes([op.JUMP, op.PUSH1, op.PUSH32, op.JUMPDEST])
    for target in (3, 4):
        assert same(evm, known + push(target) + bytes([op.JUMP]))["gas"] == 0
    less = bytes([op.JUMPDEST, op.PUSH1, 1, op.SWAP1, op.SUB, op.DUP1])
    assert same(evm, push(5) + less + push(2) + bytes([op.JUMPI]))["stack"] == [0]


def test_a_push_that_the_code_ends_in_is_filled_up(evm: LocalEvm) -> None:
    assert same(evm, bytes([op.PUSH4, 1, 2]))["stack"] == [0x01020000]
