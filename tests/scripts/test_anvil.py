"""anvil kept durable: killed, it restarts with whole blocks and the same genesis."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_process import ETHER, LOGS_ITS_INPUT, Sender, eventually, hash_of

from contracts.rpc import Rpc, RpcRefused
from contracts.transactions import contract_address
from scripts.chain.anvil import UNSAVED_BLOCKS, find_anvil
from scripts.country.chain_launch import Chain, ChainKind, launch_chain
from scripts.supervision.processes import Supervisor

pytestmark = [
    pytest.mark.node,
    pytest.mark.skipif(find_anvil() is None, reason="anvil is neither in node_modules nor on the PATH"),
]

SENDER_KEY = bytes([0x42] * 32)


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path) as supervisor:
        yield supervisor


@pytest.fixture
def sender() -> Sender:
    return Sender(SENDER_KEY, 31337)


@pytest.fixture
def chain(supervisor: Supervisor, tmp_path: Path, sender: Sender) -> Chain:
    return launch_chain(supervisor, ChainKind.ANVIL, tmp_path / "chain", 0, [sender.hex])


def kill_and_wait(chain: Chain) -> None:
    """Kill the chain, and wait until it serves again."""
    call, restarts = Rpc(chain.rpc_url).call, chain.child.restarts
    os.kill(chain.child.pid, signal.SIGKILL)

    def serves_again() -> bool:
        try:
            return chain.child.restarts > restarts and "0x" in call("eth_blockNumber")
        except (OSError, RpcRefused):
            return False

    eventually(serves_again)


def test_killed_at_any_moment_it_restarts_with_whole_blocks(chain: Chain, sender: Sender) -> None:
    call = Rpc(chain.rpc_url).call
    genesis = call("eth_getBlockByNumber", "0x0", False)["hash"]
    creation = call("eth_sendRawTransaction", sender.create(LOGS_ITS_INPUT))
    eventually(lambda: call("eth_getTransactionReceipt", creation))
    contract = "0x" + contract_address(sender.address, 0).hex()
    for _ in range(3):
        sent = [call("eth_sendRawTransaction", sender.sign(contract, bytes(64), nonce=nonce)) for nonce in
                range(sender.nonce, sender.nonce + 40)]  # fmt: skip
        eventually(lambda: call("eth_getTransactionReceipt", sent[0]))  # noqa: B023
        reached = int(call("eth_blockNumber"), 16)
        kill_and_wait(chain)
        assert call("eth_getBlockByNumber", "0x0", False)["hash"] == genesis
        head = int(call("eth_blockNumber"), 16)
        assert head >= reached - UNSAVED_BLOCKS
        blocks = [call("eth_getBlockByNumber", hex(number), False) for number in range(head + 1)]
        mined = sum(len(block["transactions"]) for block in blocks)
        logs = call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest", "address": contract})
        counted = int(call("eth_getStorageAt", contract, "0x0", "latest"), 16)
        sender.nonce = int(call("eth_getTransactionCount", sender.hex, "latest"), 16)
        assert counted == len(logs) == mined - 1 == sender.nonce - 1
    assert int(call("eth_getBalance", sender.hex, "latest"), 16) > ETHER


def test_stopped_in_order_it_loses_nothing(tmp_path: Path, sender: Sender) -> None:
    with Supervisor(tmp_path) as supervisor:
        chain = launch_chain(supervisor, ChainKind.ANVIL, tmp_path / "chain", 0, [sender.hex])
        raw = sender.sign()
        mined = Rpc(chain.rpc_url).call("eth_sendRawTransaction", raw)
        receipt = eventually(lambda: Rpc(chain.rpc_url).call("eth_getTransactionReceipt", mined))
    with Supervisor(tmp_path) as supervisor:
        chain = launch_chain(supervisor, ChainKind.ANVIL, tmp_path / "chain", 0, [])
        assert Rpc(chain.rpc_url).call("eth_getTransactionReceipt", hash_of(raw)) == receipt
