"""A short way through py-evm for the operations that contracts consist of: stack, arithmetic, jumps, memory.

py-evm runs each of them through half a dozen Python calls. Here the stream of a code does them itself, and
gives py-evm only what is not plain: everything else, and also these when gas or stack do not suffice, memory
would grow, or a jump leads to where none has led before. So nothing is ever refused here: what a refusal is
stays py-evm's own.
"""
# ruff: noqa: SLF001 - py-evm has no public way to a computation's stack, memory and gas

import operator
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from eth import constants
from eth.vm import opcode_values
from eth.vm.code_stream import CodeStream
from eth.vm.forks.prague import PragueVM
from eth.vm.forks.prague.computation import PragueComputation
from eth.vm.forks.prague.opcodes import PRAGUE_OPCODES
from eth.vm.forks.prague.state import PragueState

WORD = constants.UINT_256_MAX
STACK_LIMIT = 1024

# What is done without a table, with its gas (a test holds these against py-evm's).
PUSH0, PUSH1, PUSH32 = opcode_values.PUSH0, opcode_values.PUSH1, opcode_values.PUSH32
DUP1, DUP16 = opcode_values.DUP1, opcode_values.DUP16
SWAP1, SWAP16 = opcode_values.SWAP1, opcode_values.SWAP16
POP, MLOAD, MSTORE = opcode_values.POP, opcode_values.MLOAD, opcode_values.MSTORE
JUMP, JUMPI, JUMPDEST = opcode_values.JUMP, opcode_values.JUMPI, opcode_values.JUMPDEST
ISZERO, NOT, CALLDATALOAD = opcode_values.ISZERO, opcode_values.NOT, opcode_values.CALLDATALOAD
BASE_GAS, VERYLOW_GAS, JUMP_GAS, JUMPI_GAS, JUMPDEST_GAS = 2, 3, 8, 10, 1

Binary = Callable[[int, int], int]
_BINARY: dict[int, Binary] = {
    opcode_values.ADD: lambda a, b: (a + b) & WORD,
    opcode_values.MUL: lambda a, b: (a * b) & WORD,
    opcode_values.SUB: lambda a, b: (a - b) & WORD,
    opcode_values.DIV: lambda a, b: a // b if b else 0,
    opcode_values.MOD: lambda a, b: a % b if b else 0,
    opcode_values.LT: lambda a, b: 1 if a < b else 0,
    opcode_values.GT: lambda a, b: 1 if a > b else 0,
    opcode_values.EQ: lambda a, b: 1 if a == b else 0,
    opcode_values.AND: operator.and_,
    opcode_values.OR: operator.or_,
    opcode_values.XOR: operator.xor,
    opcode_values.BYTE: lambda a, b: (b >> (248 - 8 * a)) & 0xFF if a < 32 else 0,
    opcode_values.SHL: lambda a, b: (b << a) & WORD if a < 256 else 0,
    opcode_values.SHR: lambda a, b: b >> a if a < 256 else 0,
}
BINARY: dict[int, tuple[int, Binary]] = {
    opcode: (PRAGUE_OPCODES[opcode].gas_cost, act) for opcode, act in _BINARY.items()
}
"""Gas and meaning of what takes two words, the top one first, and leaves one."""


@lru_cache(maxsize=256)
def _known(code: bytes) -> tuple[set[int], set[int], dict[int, int]]:
    """What is known of a code, as far as somebody asked: where it has no operation, where it has one, and the
    words that it pushes. To be filled.
    """
    return set(), set(), {}


class PlainStream(CodeStream):  # type: ignore[misc]
    """A code that runs its plain operations while py-evm asks for the next one."""

    program_counter: int
    invalid_positions: set[int]
    valid_positions: set[int]

    def __init__(self, computation: Any) -> None:
        """The code of a computation that has its stack, memory and gas already."""
        super().__init__(computation.msg.code)
        self.invalid_positions, self.valid_positions, self._words = _known(computation.msg.code)
        self._meter, self._memory = computation._gas_meter, computation._memory
        self._stack: Any = computation._stack.values
        self._data: Any = computation.msg.data_as_bytes

    def __iter__(self) -> Iterator[int]:  # noqa: PLR0912, PLR0915 - one loop, because calls are what costs
        """Do what is plain, and yield each operation that is not."""
        code, words, valid = self._raw_code_bytes, self._words, self.valid_positions
        meter, memory, stack, data = self._meter, self._memory, self._stack, self._data
        number = int.from_bytes
        end = len(code)
        at, gas = self.program_counter, meter.gas_remaining
        while True:
            opcode = code[at] if at < end else opcode_values.STOP
            if opcode >= PUSH0:
                if opcode <= PUSH32:
                    if gas >= VERYLOW_GAS and len(stack) < STACK_LIMIT and opcode > PUSH0:
                        after = at + opcode - PUSH0 + 1
                        word = words.get(at)
                        if word is None and after <= end:
                            word = words[at] = number(code[at + 1 : after])
                        if word is not None:
                            stack.append(word)
                            gas -= VERYLOW_GAS
                            at = after
                            continue
                    elif opcode == PUSH0 and gas >= BASE_GAS and len(stack) < STACK_LIMIT:
                        stack.append(0)
                        gas -= BASE_GAS
                        at += 1
                        continue
                elif opcode <= DUP16:
                    place = opcode - DUP1 + 1
                    if gas >= VERYLOW_GAS and place <= len(stack) < STACK_LIMIT:
                        stack.append(stack[-place])
                        gas -= VERYLOW_GAS
                        at += 1
                        continue
                elif opcode <= SWAP16:
                    place = opcode - SWAP1 + 2
                    if gas >= VERYLOW_GAS and place <= len(stack):
                        stack[-1], stack[-place] = stack[-place], stack[-1]
                        gas -= VERYLOW_GAS
                        at += 1
                        continue
            elif opcode in BINARY:
                cost, act = BINARY[opcode]
                if gas >= cost and len(stack) > 1:
                    first = stack.pop()
                    second = stack[-1]
                    if type(first) is bytes:
                        first = number(first)
                    if type(second) is bytes:
                        second = number(second)
                    stack[-1] = act(first, second)
                    gas -= cost
                    at += 1
                    continue
            elif opcode == JUMPDEST:
                if gas >= JUMPDEST_GAS:
                    gas -= JUMPDEST_GAS
                    at += 1
                    continue
            elif opcode == JUMPI:
                if gas >= JUMPI_GAS and len(stack) > 1:
                    target, condition = stack[-1], stack[-2]
                    if type(condition) is bytes:
                        condition = number(condition)
                    if not condition:
                        del stack[-2:]
                        gas -= JUMPI_GAS
                        at += 1
                        continue
                    if target in valid and code[target] == JUMPDEST:
                        del stack[-2:]
                        gas -= JUMPI_GAS
                        at = target
                        continue
            elif opcode == JUMP:
                if gas >= JUMP_GAS and stack:
                    target = stack[-1]
                    if target in valid and code[target] == JUMPDEST:
                        stack.pop()
                        gas -= JUMP_GAS
                        at = target
                        continue
            elif gas >= VERYLOW_GAS and stack:
                word = stack[-1]
                if opcode == ISZERO:
                    if type(word) is bytes:
                        word = number(word)
                    stack[-1] = 0 if word else 1
                    gas -= VERYLOW_GAS
                    at += 1
                    continue
                if opcode == POP:
                    stack.pop()
                    gas -= BASE_GAS
                    at += 1
                    continue
                if opcode == MLOAD:
                    start = number(word) if type(word) is bytes else word
                    if start + 32 <= len(memory._bytes):
                        stack[-1] = bytes(memory._bytes[start : start + 32])
                        gas -= VERYLOW_GAS
                        at += 1
                        continue
                elif opcode == MSTORE:
                    start = number(word) if type(word) is bytes else word
                    if len(stack) > 1 and start + 32 <= len(memory._bytes):
                        value = stack[-2]
                        if type(value) is bytes:
                            memory._bytes[start : start + 32] = value.rjust(32, b"\x00")
                        else:
                            memory._bytes[start : start + 32] = value.to_bytes(32)
                        del stack[-2:]
                        gas -= VERYLOW_GAS
                        at += 1
                        continue
                elif opcode == CALLDATALOAD:
                    start = number(word) if type(word) is bytes else word
                    stack[-1] = number(data[start : start + 32].ljust(32, b"\x00"))
                    gas -= VERYLOW_GAS
                    at += 1
                    continue
                elif opcode == NOT:
                    stack[-1] = WORD - (number(word) if type(word) is bytes else word)
                    gas -= VERYLOW_GAS
                    at += 1
                    continue
            self.program_counter = at + 1
            meter.gas_remaining = gas
            yield opcode
            at, gas = self.program_counter, meter.gas_remaining


class PlainComputation(PragueComputation):  # type: ignore[misc]
    """Prague's computation with the short way."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.code = PlainStream(self)


class PlainState(PragueState):  # type: ignore[misc]
    """Prague's state, whose transactions take the short way."""

    computation_class = PlainComputation


class PlainVM(PragueVM):  # type: ignore[misc]
    """Prague's virtual machine with the short way."""

    _state_class = PlainState
