"""The development chain as its clients see it; chain.tree lists what it promises."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from chain_process import (
    FEE_WEI,
    LOGS_ITS_INPUT,
    REVERTS_WITH_ITS_INPUT,
    ChainProcess,
    eventually,
    forwards_to,
    hash_of,
)
from eth_abi import encode

from contracts.rpc import RpcRefused
from scripts.chain.node import Rhythm


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    chain = ChainProcess(tmp_path_factory.mktemp("chain"))
    yield chain
    assert chain.stop() == 0


@pytest.fixture
def still_chain(chain: ChainProcess) -> Iterator[ChainProcess]:
    """The chain with blocks only on request."""
    chain.call("evm_setIntervalMining", 0)
    yield chain
    chain.call("evm_setIntervalMining", 1)


def words(*numbers: int) -> bytes:
    return b"".join(number.to_bytes(32, "big") for number in numbers)


def test_a_transaction_is_mined_with_its_receipt(chain: ChainProcess) -> None:
    sender = chain.new_sender()
    raw = sender.sign("0x" + "ab" * 20, value=7)
    transaction_hash = chain.call("eth_sendRawTransaction", raw)
    assert transaction_hash == hash_of(raw)
    receipt = chain.receipt(transaction_hash)
    assert (receipt["status"], receipt["gasUsed"], receipt["from"]) == ("0x1", hex(21_000), sender.hex)
    block = chain.call("eth_getBlockByHash", receipt["blockHash"], True)
    assert block["transactions"][int(receipt["transactionIndex"], 16)]["hash"] == transaction_hash
    assert chain.call("eth_getTransactionByHash", transaction_hash)["blockHash"] == block["hash"]
    assert chain.number("eth_getBalance", "0x" + "ab" * 20, "latest") == 7


def test_an_access_list_is_charged_for_saves_and_is_told(chain: ChainProcess) -> None:
    sender = chain.new_sender()
    counter = chain.deploy(sender, LOGS_ITS_INPUT)  # its counter is slot 0
    sign = partial(sender.sign, counter, bytes(64))
    assert chain.receipt(chain.call("eth_sendRawTransaction", sign()))["status"] == "0x1"
    gas = []
    slots = [bytes(32), b"\xff" * 32]
    for named in ((), (slots[0],), tuple(slots)):
        access_list = ((bytes.fromhex(counter[2:]), named),) if named else ()
        transaction_hash = chain.call("eth_sendRawTransaction", sign(access_list=access_list))
        gas.append(int(chain.receipt(transaction_hash)["gasUsed"], 16))
        told = chain.call("eth_getTransactionByHash", transaction_hash)
        assert told["accessList"] == [
            {"address": counter, "storageKeys": ["0x" + slot.hex() for slot in slots]}
            for _, slots in access_list
        ]
        assert (told["type"], told["yParity"]) == ("0x2", told["v"])
    assert gas[1] == gas[0] + 2_400 - 100, "the address is warm anyway; the slot is read for 100 less"
    assert gas[2] == gas[1] + 1_900, "named in vain"


def test_a_duplicate_is_answered_with_the_same_hash_while_it_waits_and_when_it_is_mined(
    still_chain: ChainProcess,
) -> None:
    raw = still_chain.new_sender().sign()
    waiting = [still_chain.call("eth_sendRawTransaction", raw) for _ in range(2)]
    assert still_chain.call("eth_getTransactionByHash", waiting[0])["blockHash"] is None
    still_chain.call("evm_mine")
    assert waiting == [hash_of(raw)] * 2
    assert still_chain.call("eth_sendRawTransaction", raw) == hash_of(raw)


def test_transactions_that_arrive_in_the_wrong_order_are_mined_in_nonce_order(
    still_chain: ChainProcess,
) -> None:
    sender = still_chain.new_sender()
    raws = [sender.sign() for _ in range(5)]
    for raw in reversed(raws):
        still_chain.call("eth_sendRawTransaction", raw)
    still_chain.call("evm_mine")
    mined = still_chain.call("eth_getBlockByNumber", "latest")["transactions"]
    assert mined == [hash_of(raw) for raw in raws]


def test_a_transaction_above_a_gap_waits_and_the_pending_nonce_stops_before_it(
    still_chain: ChainProcess,
) -> None:
    sender = still_chain.new_sender()
    first, gap, above = sender.sign(), sender.sign(), sender.sign()
    for raw in (above, first):
        still_chain.call("eth_sendRawTransaction", raw)
    assert still_chain.number("eth_getTransactionCount", sender.hex, "pending") == 1
    still_chain.call("evm_mine")
    assert still_chain.call("eth_getTransactionReceipt", hash_of(above)) is None
    still_chain.call("eth_sendRawTransaction", gap)
    assert still_chain.number("eth_getTransactionCount", sender.hex, "pending") == 3
    still_chain.call("evm_mine")
    assert still_chain.number("eth_getTransactionCount", sender.hex, "latest") == 3


def test_a_transaction_replaces_another_only_for_a_tenth_more_in_fees(still_chain: ChainProcess) -> None:
    sender = still_chain.new_sender()
    still_chain.call("eth_sendRawTransaction", sender.sign(nonce=0, max_priority_fee_per_gas=100))
    cheap = sender.sign(nonce=0, max_fee_per_gas=FEE_WEI * 109 // 100, max_priority_fee_per_gas=110)
    assert still_chain.refusal("eth_sendRawTransaction", cheap)["message"].startswith("replacement")
    dear = sender.sign(nonce=0, max_fee_per_gas=FEE_WEI * 110 // 100, max_priority_fee_per_gas=110)
    still_chain.call("eth_sendRawTransaction", dear)
    still_chain.call("evm_mine")
    assert still_chain.call("eth_getBlockByNumber", "latest")["transactions"] == [hash_of(dear)]


def test_what_a_node_would_not_take_is_refused_in_the_words_that_clients_know(chain: ChainProcess) -> None:
    sender = chain.new_sender()
    chain.mined(sender.sign())
    refused = {
        sender.sign(nonce=0, value=1): "nonce too low",
        sender.sign(nonce=1, value=10**30): "insufficient funds",
        sender.sign(nonce=1, chain_id=5): "invalid chain id",
        sender.sign(nonce=1, gas=10**10): "exceeds block gas limit",
        sender.sign(nonce=1, gas=20_000): "intrinsic gas too low",
        sender.sign(nonce=1, data=b"x" * 1000, gas=40_000): "intrinsic gas too low",  # EIP-7623
        "0x02ff": "invalid transaction",
        "0x": "invalid transaction",
        "0x03" + sender.sign(nonce=1)[4:]: "",
    }
    before = chain.number("eth_getTransactionCount", sender.hex, "pending")
    for raw, words_of_refusal in refused.items():
        error = chain.refusal("eth_sendRawTransaction", raw)
        assert error["code"] == -32000
        assert words_of_refusal in error["message"]
    assert chain.number("eth_getTransactionCount", sender.hex, "pending") == before


def test_many_transactions_share_a_block_in_which_each_senders_keep_their_order(
    still_chain: ChainProcess,
) -> None:
    senders = [still_chain.new_sender() for _ in range(3)]
    for _ in range(20):
        for sender in senders:
            still_chain.call("eth_sendRawTransaction", sender.sign())
    still_chain.call("evm_mine")
    mined = still_chain.call("eth_getBlockByNumber", "latest", True)["transactions"]
    assert len(mined) == 60
    for sender in senders:
        assert [int(each["nonce"], 16) for each in mined if each["from"] == sender.hex] == list(range(20))


def test_a_transaction_that_cannot_be_paid_for_in_its_turn_is_dropped_and_the_others_are_mined(
    still_chain: ChainProcess,
) -> None:
    poor, rich = still_chain.new_sender(), still_chain.new_sender()
    everything = still_chain.number("eth_getBalance", poor.hex, "latest") - 10**17
    both = [poor.sign(value=everything), poor.sign(value=everything)]
    after = rich.sign()
    for raw in (*both, after):
        still_chain.call("eth_sendRawTransaction", raw)
    still_chain.call("evm_mine")
    mined = still_chain.call("eth_getBlockByNumber", "latest")["transactions"]
    assert mined == [hash_of(both[0]), hash_of(after)]
    assert still_chain.call("eth_getTransactionByHash", hash_of(both[1])) is None


def test_chain_time_does_not_run_ahead_of_the_clock(chain: ChainProcess) -> None:
    sender = chain.new_sender()  # whose ether took a block, perhaps ahead of the clock
    ahead_s = int(chain.call("eth_getBlockByNumber", "latest")["timestamp"], 16) - time.time()
    for _ in range(4):
        hashes = [chain.call("eth_sendRawTransaction", sender.sign()) for _ in range(25)]
        chain.receipt(hashes[-1])
    block = chain.call("eth_getBlockByNumber", "latest")
    assert int(block["timestamp"], 16) - time.time() <= max(ahead_s, 0) + 1


def test_a_revert_is_answered_with_its_raw_data(chain: ChainProcess) -> None:
    contract = chain.deploy(chain.new_sender(), REVERTS_WITH_ITS_INPUT)
    custom = bytes.fromhex("deadbeef") + words(5, 7)
    standard = bytes.fromhex("08c379a0") + encode(["string"], ["no room"])
    for data, message in ((custom, "execution reverted"), (standard, "execution reverted: no room")):
        for method in ("eth_call", "eth_estimateGas"):
            error = chain.refusal(method, {"to": contract, "data": "0x" + data.hex()})
            assert error == {"code": 3, "message": message, "data": "0x" + data.hex()}


def test_a_call_that_runs_out_of_gas_has_no_revert_data(chain: ChainProcess) -> None:
    contract = chain.deploy(chain.new_sender(), LOGS_ITS_INPUT)
    call = {"to": contract, "data": "0x" + words(1, 2).hex(), "gas": hex(25_000)}
    error = chain.refusal("eth_call", call)
    assert error["code"] == -32000
    assert "data" not in error


def test_a_call_reads_the_state_of_an_old_block(chain: ChainProcess) -> None:
    sender = chain.new_sender()
    contract = chain.deploy(sender, LOGS_ITS_INPUT)
    counted = []
    for _ in range(3):
        raw = sender.sign(contract, words(1, 2))
        receipt = chain.mined(raw)
        counted.append((receipt["blockNumber"], receipt["blockHash"]))
    for count, (number, block_hash) in enumerate(counted, start=1):
        assert chain.number("eth_getStorageAt", contract, "0x0", number) == count
        assert chain.number("eth_getStorageAt", contract, "0x0", {"blockHash": block_hash}) == count
        assert chain.number("eth_getTransactionCount", sender.hex, number) == count + 1


def test_an_estimate_is_enough_for_a_call_within_a_call_and_little_more(chain: ChainProcess) -> None:
    sender = chain.new_sender()
    inner = chain.deploy(sender, LOGS_ITS_INPUT)
    outer = chain.deploy(sender, forwards_to(inner))
    data = words(3, 4) + b"x" * 100
    estimate = chain.number("eth_estimateGas", {"from": sender.hex, "to": outer, "data": "0x" + data.hex()})
    receipt = chain.mined(sender.sign(outer, data, gas=estimate))
    assert receipt["status"] == "0x1"
    assert len(receipt["logs"]) == 1
    assert estimate < int(receipt["gasUsed"], 16) * 1.1


def test_logs_are_found_by_address_topics_and_block(chain: ChainProcess) -> None:
    sender = chain.new_sender()
    ours, other = (chain.deploy(sender, LOGS_ITS_INPUT) for _ in range(2))
    raws = [
        sender.sign(contract, words(*topics) + b"payload")
        for contract, *topics in ((ours, 1, 10), (ours, 2, 10), (other, 1, 20))
    ]
    receipts = [chain.mined(raw) for raw in raws]
    span = {"fromBlock": receipts[0]["blockNumber"], "toBlock": "latest"}
    topic = {number: "0x" + words(number).hex() for number in (1, 2, 10, 20)}

    def found(**wanted: object) -> list[object]:
        return [log["transactionHash"] for log in chain.call("eth_getLogs", {**span, **wanted})]

    first, second, third = (receipt["transactionHash"] for receipt in receipts)
    assert found(address=ours) == [first, second]
    assert found(address=[ours, other]) == [first, second, third]
    assert found(address=[ours, other], topics=[topic[1]]) == [first, third]
    assert found(address=[ours, other], topics=[None, topic[10]]) == [first, second]
    assert found(address=[ours, other], topics=[[topic[1], topic[2]], [topic[20]]]) == [third]
    assert found(address=ours, topics=[None, None, None]) == []
    by_hash = chain.call("eth_getLogs", {"blockHash": receipts[1]["blockHash"], "address": ours})
    assert by_hash == receipts[1]["logs"]
    assert by_hash[0]["data"] == "0x" + b"payload".hex()
    with pytest.raises(RpcRefused):
        chain.call("eth_getLogs", {"blockHash": receipts[1]["blockHash"], **span})
    assert chain.refusal("eth_getLogs", {"blockHash": "0x" + "00" * 32})["message"] == "unknown block"


def test_logs_beyond_the_head_are_clamped(chain: ChainProcess) -> None:
    head = chain.number("eth_blockNumber")
    assert chain.call("eth_getLogs", {"fromBlock": hex(head + 50), "toBlock": hex(head + 90)}) == []
    everything = chain.call("eth_getLogs", {"fromBlock": "earliest", "toBlock": hex(10**6)})
    assert everything == chain.call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "latest"})


def test_a_snapshot_is_gone_back_to_and_the_height_gets_another_block(still_chain: ChainProcess) -> None:
    sender = still_chain.new_sender()
    contract = still_chain.deploy(sender, LOGS_ITS_INPUT)
    before = still_chain.call("eth_getBlockByNumber", "latest")
    snapshot = still_chain.call("evm_snapshot")
    raw = sender.sign(contract, words(1, 2))
    still_chain.call("eth_sendRawTransaction", raw)
    still_chain.call("evm_mine")
    gone = still_chain.call("eth_getBlockByNumber", "latest")
    assert still_chain.call("evm_revert", snapshot) is True
    assert still_chain.call("eth_getBlockByNumber", "latest") == before
    assert still_chain.call("eth_getTransactionReceipt", hash_of(raw)) is None
    assert still_chain.call("eth_getBlockByHash", gone["hash"]) is None
    assert still_chain.call("eth_getLogs", {"fromBlock": gone["number"], "address": contract}) == []
    assert still_chain.call("evm_revert", snapshot) is False
    still_chain.call("evm_mine")
    again = still_chain.call("eth_getBlockByNumber", "latest")
    assert again["number"] == gone["number"]
    assert again["hash"] != gone["hash"]


def test_a_reorganisation_drops_what_the_old_blocks_held_unless_told_otherwise(
    still_chain: ChainProcess,
) -> None:
    keeper, loser = still_chain.new_sender(), still_chain.new_sender()
    kept, lost = keeper.sign(), loser.sign()
    for raw in (kept, lost):
        still_chain.call("eth_sendRawTransaction", raw)
        still_chain.call("evm_mine")
    old = still_chain.call("eth_getBlockByNumber", "latest")
    still_chain.call("anvil_reorg", 2, [[kept, 1]])
    new = still_chain.call("eth_getBlockByNumber", "latest")
    assert new["number"] == old["number"]
    assert new["hash"] != old["hash"]
    assert still_chain.call("eth_getTransactionReceipt", hash_of(kept))["blockHash"] == new["hash"]
    assert still_chain.call("eth_getTransactionByHash", hash_of(lost)) is None
    still_chain.call("eth_sendRawTransaction", lost)
    still_chain.call("evm_mine")
    assert still_chain.call("eth_getTransactionReceipt", hash_of(lost))["status"] == "0x1"


def test_a_read_is_answered_while_a_block_is_made(still_chain: ChainProcess) -> None:
    senders = [still_chain.new_sender() for _ in range(4)]
    for sender in senders:
        for _ in range(150):
            still_chain.call("eth_sendRawTransaction", sender.sign())
    before = still_chain.number("eth_blockNumber")
    mining = threading.Thread(target=still_chain.call, args=("evm_mine",))
    mining.start()
    answered = 0
    while mining.is_alive():
        still_chain.call("eth_getBalance", senders[0].hex, "latest")
        answered += still_chain.number("eth_blockNumber") == before
    mining.join()
    assert answered >= 3
    assert still_chain.number("eth_blockNumber") == before + 1


def test_a_batch_is_answered_in_order_with_its_errors_in_their_places(chain: ChainProcess) -> None:
    requests = [("eth_chainId", []), ("no_such", []), ("eth_blockNumber", []), ("eth_getBalance", ["0x1"])]
    batch = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        for number, (method, params) in enumerate(requests)
    ]
    answers = chain.post(json.dumps(batch).encode())
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]
    assert [answer.get("error", {}).get("code") for answer in answers] == [None, -32601, None, -32602]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b'{"id": 1}', -32600),
        (b'{"id": 1, "method": "eth_call", "params": {"to": 1}}', -32602),
        (b'{"id": 1, "method": "eth_getBalance", "params": ["0xzz", "latest"]}', -32602),
        (b'{"id": 1, "method": "eth_getBlockByNumber", "params": ["soon"]}', -32602),
        (b'{"id": 1, "method": "eth_chainId", "params": [1, 2]}', -32602),
        (b'{"id": 1, "method": "eth_getBalance", "params": ["0x%s", "0xffffff"]}' % (b"11" * 20), -32000),
    ],
)
def test_nonsense_is_answered_with_the_standards_codes(chain: ChainProcess, body: bytes, code: int) -> None:
    assert chain.post(body)["error"]["code"] == code


def test_what_libraries_ask_first_is_answered(chain: ChainProcess) -> None:
    assert chain.call("net_version") == str(chain.number("eth_chainId"))
    assert chain.call("eth_syncing") is False
    assert chain.number("eth_gasPrice") >= chain.number("eth_maxPriorityFeePerGas")
    history = chain.call("eth_feeHistory", "0x3", "latest", [50])
    assert len(history["baseFeePerGas"]) == len(history["reward"]) + 1
    assert chain.call("eth_getCode", "0x" + "11" * 20, "latest") == "0x"
    assert chain.call("eth_getBlockByNumber", hex(10**6)) is None


def test_blocks_come_each_second_while_something_may_await_confirmation_then_seldom_then_never() -> None:
    rhythm = Rhythm(block_time_s=1.0, idle_block_time_s=5.0, busy_s=60.0)
    assert rhythm.spacing_s(is_waiting=True, since_transaction_s=500, since_request_s=500) == 1.0
    assert rhythm.spacing_s(is_waiting=False, since_transaction_s=59, since_request_s=500) == 1.0
    assert rhythm.spacing_s(is_waiting=False, since_transaction_s=60, since_request_s=59) == 5.0
    assert rhythm.spacing_s(is_waiting=False, since_transaction_s=60, since_request_s=60) is None


def test_an_empty_chain_makes_blocks_while_it_is_asked(chain: ChainProcess) -> None:
    chain.call("eth_sendRawTransaction", chain.new_sender().sign())
    head = chain.number("eth_blockNumber")
    eventually(lambda: chain.number("eth_blockNumber") >= head + 2)


def test_a_taken_port_is_named(chain: ChainProcess, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.chain.server", "--data", str(tmp_path)]
    command += ["--port", chain.url.rpartition(":")[2]]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "choose another --port" in ended.stderr
