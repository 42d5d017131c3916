"""Calls and gas estimates: executions that leave nothing behind."""

from dataclasses import dataclass

from eth.abc import ComputationAPI, StateAPI
from eth.constants import CREATE_CONTRACT_ADDRESS
from eth.exceptions import Revert
from eth.vm.forks.london.transactions import UnsignedDynamicFeeTransaction
from eth.vm.forks.prague.blocks import PragueBlockHeader
from eth.vm.forks.prague.constants import STANDARD_TOKEN_COST, TOTAL_COST_FLOOR_PER_TOKEN
from eth.vm.spoof import SpoofTransaction
from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError

from scripts.chain.engine import CHAIN_ID, ChainView

CALL_GAS_LIMIT = 1_000_000_000
ERROR_STRING_SELECTOR = bytes.fromhex("08c379a0")
GAS_TRANSACTION = 21_000
ESTIMATE_ATTEMPTS = 40


class CallFailed(Exception):
    """An execution failed. `revert_data` is None when it did not revert but ran out of gas or the like."""

    def __init__(self, message: str, revert_data: bytes | None) -> None:
        super().__init__(message)
        self.message = message
        self.revert_data = revert_data


@dataclass(frozen=True, slots=True)
class Call:
    """What a client asks to be executed. `gas` None means as much as is allowed."""

    sender: bytes
    to: bytes
    data: bytes
    value: int
    gas: int | None


def execute(view: ChainView, header: PragueBlockHeader, call: Call) -> bytes:
    """The output of a call on the state after `header`; CallFailed when it fails."""
    gas = min(call.gas or CALL_GAS_LIMIT, CALL_GAS_LIMIT)
    computation = _run(view.state(header), call, gas)
    _raise_if_failed(computation)
    output: bytes = computation.output
    return output


def estimate_gas(view: ChainView, header: PragueBlockHeader, call: Call) -> int:
    """The least gas limit found with which the call succeeds; verified by running with it."""
    cap: int = min(call.gas or header.gas_limit, header.gas_limit, CALL_GAS_LIMIT)
    computation = _run(view.state(header), call, cap)
    _raise_if_failed(computation)
    limit: int = max(cap - computation.get_gas_remaining(), floor_gas(call.data))
    for _ in range(ESTIMATE_ATTEMPTS):
        if limit >= cap:
            return cap
        if not _run(view.state(header), call, limit).is_error:
            return limit
        limit += limit // 63 + 1  # each nested call may keep back one 64th of the gas
    return cap


def _run(state: StateAPI, call: Call, gas: int) -> ComputationAPI:
    transaction = SpoofTransaction(
        UnsignedDynamicFeeTransaction(
            chain_id=CHAIN_ID,
            nonce=state.get_nonce(call.sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=0,
            gas=gas,
            to=call.to,
            value=call.value,
            data=call.data,
            access_list=(),
        ),
        from_=call.sender,
    )
    if gas < transaction.intrinsic_gas:
        raise CallFailed("intrinsic gas too low", None)
    executor = state.get_transaction_executor()
    return executor.build_computation(executor.build_evm_message(transaction), transaction)


def floor_gas(data: bytes) -> int:
    """EIP-7623: the least a transaction pays for its calldata."""
    zeros = data.count(0)
    tokens = zeros + STANDARD_TOKEN_COST * (len(data) - zeros)
    floor: int = GAS_TRANSACTION + TOTAL_COST_FLOOR_PER_TOKEN * tokens
    return floor


def _raise_if_failed(computation: ComputationAPI) -> None:
    if not computation.is_error:
        return
    if isinstance(computation.error, Revert):
        data: bytes = computation.output
        raise CallFailed(f"execution reverted{_reason(data)}", data)
    raise CallFailed(f"{type(computation.error).__name__}: {computation.error}", None)


def _reason(data: bytes) -> str:
    if data[:4] != ERROR_STRING_SELECTOR:
        return ""
    try:
        return f": {decode(['string'], data[4:])[0]}"
    except (DecodingError, UnicodeDecodeError):
        return ""


def call_target(to: bytes | None) -> bytes:
    """A call without `to` creates a contract."""
    return CREATE_CONTRACT_ADDRESS if to is None else to
