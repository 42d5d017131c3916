"""The development chain killed at any moment: it restarts with whole blocks, and never forgets one."""

import itertools
import random
import threading
from pathlib import Path
from typing import Any

import pytest
from chain_process import LOGS_ITS_INPUT, ChainProcess, hash_of

from contracts.rpc import RpcRefused
from scripts.chain.engine import ChainEngine

KILLS = 3


def history(chain: ChainProcess) -> list[Any]:
    """Every block with its transactions, every receipt and every log."""
    head = chain.number("eth_blockNumber")
    blocks = [chain.call("eth_getBlockByNumber", hex(number), True) for number in range(head + 1)]
    receipts = [chain.call("eth_getBlockReceipts", hex(number)) for number in range(head + 1)]
    return [blocks, receipts, chain.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})]


def send_until_killed(chain: ChainProcess, raws: list[str], seen: list[Any]) -> None:
    """Send and mine, noting each block that the server has said it made."""
    try:
        for raw in raws:
            chain.call("eth_sendRawTransaction", raw)
            chain.call("evm_mine")
            seen.append(chain.call("eth_getBlockByNumber", "latest"))
    except (OSError, RpcRefused):
        return


def test_killed_at_any_moment_it_restarts_with_whole_blocks(tmp_path: Path) -> None:
    chain = ChainProcess(tmp_path)
    sender = chain.new_sender()
    contract = chain.deploy(sender, LOGS_ITS_INPUT)
    seen: list[Any] = []
    for kill in range(KILLS):
        raws = [sender.sign(contract, bytes(64) + b"x" * 50) for _ in range(200)]
        sending = threading.Thread(target=send_until_killed, args=(chain, raws, seen))
        sending.start()
        sending.join(random.Random(kill).uniform(0.1, 0.6))
        chain.kill()
        sending.join()
        chain.start()
        blocks, receipts, logs = history(chain)
        check_chained(blocks)
        for block in seen:
            assert blocks[int(block["number"], 16)]["hash"] == block["hash"]
        mined = sum(len(block["transactions"]) for block in blocks)
        assert sum(map(len, receipts)) == mined
        assert chain.number("eth_getStorageAt", contract, "0x0", "latest") == len(logs) == mined - 1
        sender.nonce = chain.number("eth_getTransactionCount", sender.hex, "latest")
        assert sender.nonce == mined
    assert seen
    before = history(chain)
    assert chain.stop() == 0
    chain.start()
    for now, then in zip(history(chain), before, strict=True):
        assert now[: len(then)] == then  # empty blocks may have been added
    chain.stop()


def check_chained(blocks: list[Any]) -> None:
    for parent, block in itertools.pairwise(blocks):
        assert block["parentHash"] == parent["hash"]
        assert int(block["timestamp"], 16) > int(parent["timestamp"], 16)


def test_a_kill_takes_what_waited_but_not_the_chains_time(tmp_path: Path) -> None:
    chain = ChainProcess(tmp_path)
    chain.call("evm_setIntervalMining", 0)
    chain.call("evm_increaseTime", 172_800)
    sender = chain.new_sender()
    ahead_s = int(chain.call("eth_getBlockByNumber", "latest")["timestamp"], 16)
    raw = sender.sign()
    chain.call("eth_sendRawTransaction", raw)
    chain.kill()
    chain.start()
    assert chain.call("eth_getTransactionByHash", hash_of(raw)) is None
    assert chain.mined(raw)["status"] == "0x1"
    again_s = int(chain.call("eth_getBlockByNumber", "latest")["timestamp"], 16)
    assert ahead_s < again_s < ahead_s + 600
    chain.stop()


def test_two_chains_are_never_alike(tmp_path: Path) -> None:
    funded = bytes([0x22] * 20)
    chains = [ChainEngine(tmp_path / name, [funded], 10**9) for name in ("one", "other")]
    assert chains[0].head.hash != chains[1].head.hash
    assert [chain.state(chain.head).get_balance(funded) for chain in chains] == [10**24] * 2


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    ChainEngine(tmp_path, [], 10**9).store.set_setting("format_version", 0)
    with pytest.raises(ValueError, match="make reset"):
        ChainEngine(tmp_path, [], 10**9)
