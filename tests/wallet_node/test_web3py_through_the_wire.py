"""web3.py, unchanged, with its accounts in the node: it is signed for over the wire, and a chain mines it."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from node_builders import NO_PROOF, SEED
from web3 import EthereumTesterProvider, HTTPProvider, Web3
from web3.exceptions import Web3RPCError
from web3.middleware import Web3Middleware

from contracts import abi
from contracts.access_lists import access_list, accounts_to_list
from contracts.batch import Record, pack
from contracts.typed_data import payment_typed_data
from tests.contracts.eth_tester_chain import CHAIN_ID, EthTesterChain
from tests.contracts.world import (
    ALICE,
    BANK_A,
    BANK_B,
    BOB,
    CAROL,
    GOVERNOR,
    ISSUER,
    MERCHANT,
    NAME,
    PAUSER,
    REGISTRAR,
    RETAIL_TIER,
    SUPERVISOR,
    UNLINKED,
    UPGRADER,
    World,
)
from wallet_node.addresses import checksummed
from wallet_node.deployment import Binding, bind
from wallet_node.errors import WalletNodeError
from wallet_node.intents import Derivation
from wallet_node.keystore.files import Secrets
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy import Policy
from wallet_node.signing import compact
from wallet_node.web3signer import Web3SignerWire

PEOPLE = (ALICE, BOB, CAROL, MERCHANT, UNLINKED, BANK_A, BANK_B)
ROLES = (GOVERNOR, ISSUER, PAUSER, UPGRADER, SUPERVISOR, REGISTRAR)


class ServedWire:
    """A node on a loopback port, with HTTP from the standard library; one thread opens, uses, closes it."""

    def __init__(self, home: Path, secrets: Secrets) -> None:
        self._ready: Queue[HTTPServer] = Queue()
        self._thread = threading.Thread(target=self._serve, args=(home, secrets))
        self._thread.start()
        self._server = self._ready.get(timeout=30)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _serve(self, home: Path, secrets: Secrets) -> None:
        node = WalletNode(home, secrets, Policy(NO_PROOF))
        node.test_itself()
        node.derive(Derivation((0, 1)))
        wire = Web3SignerWire(node)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                try:
                    answer = wire.answer("POST", self.path, body)
                except WalletNodeError as error:
                    answer = (error.status, "text/plain", error.code.encode())
                status, content_type, content = answer or (404, "text/plain", b"")
                self.send_response(status)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        server = HTTPServer(("127.0.0.1", 0), Handler)
        self._ready.put(server)
        server.serve_forever(poll_interval=0.02)
        server.server_close()
        node.close()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join(timeout=30)


class SigningOverTheWire(Web3Middleware):
    """eth_sendTransaction, as web3.py's own signing middleware does it, but that the key is elsewhere."""

    signer: HTTPProvider

    def request_processor(self, method: Any, params: Any) -> Any:
        if method != "eth_sendTransaction":
            return method, params
        transaction = dict(params[0])
        if "nonce" not in transaction:
            transaction["nonce"] = self._w3.eth.get_transaction_count(transaction["from"], "pending")
        hexed = {name: hex(value) if isinstance(value, int) else value for name, value in transaction.items()}
        signed = self.signer.make_request("eth_signTransaction", [hexed])
        if "error" in signed:
            raise Web3RPCError(signed["error"]["message"], rpc_response=signed)
        return "eth_sendRawTransaction", [signed["result"]]


@dataclass
class Bank:
    """The bank's own program: web3.py on the chain, its accounts in the node."""

    w3: Web3
    signer: HTTPProvider
    world: World

    def send(self, data: bytes, **changes: Any) -> Any:
        transaction = {
            "from": checksummed(BANK_A.address),
            "to": checksummed(self.world.currency),
            "data": "0x" + data.hex(),
            "gas": 2_000_000,
            "maxFeePerGas": 10**10,
            "maxPriorityFeePerGas": 10**9,
            "value": 0,
            "chainId": CHAIN_ID,
        } | changes
        return self.w3.eth.wait_for_transaction_receipt(self.w3.eth.send_transaction(transaction))

    def pay(self, payer: str, payee: bytes, amount_minor: int, nonce: int, until_s: int) -> Record:
        document = payment_typed_data(self.world.domain, payee, amount_minor, nonce, until_s)
        answer = self.signer.make_request("eth_signTypedData_v4", [payer, document])
        signature = bytes.fromhex(answer["result"][2:])
        compacted = compact(signature[:64] + bytes([signature[64] - 27]))
        return Record(payee, amount_minor, nonce, compacted[:32], compacted[32:])

    def balance(self, account: bytes) -> int:
        asked = {
            "from": checksummed(BANK_A.address),
            "to": checksummed(self.world.currency),
            "data": "0x" + abi.encode_balance_of(account).hex(),
        }
        return abi.decode_uint(bytes(self.w3.eth.call(asked)))


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    chain = EthTesterChain(PEOPLE, ROLES)
    world = World(evm=chain, chain_id=CHAIN_ID)
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    bind(home, Binding(CHAIN_ID, "0x" + world.currency.hex(), NAME))
    served = ServedWire(home, Secrets(SEED, {"institution": SoftwareKey(BANK_A.key)}))
    signer = HTTPProvider(served.url)
    w3 = Web3(EthereumTesterProvider(chain.tester))
    middleware = type("Signing", (SigningOverTheWire,), {"signer": signer})
    w3.middleware_onion.add(middleware, "signing")
    yield Bank(w3, signer, world)
    served.stop()


def test_a_bank_mints_registers_funds_and_settles_with_web3py_alone(bank: Bank) -> None:
    accounts = Web3(bank.signer).eth.accounts
    assert accounts == [checksummed(BANK_A.address)]
    assert Web3(bank.signer).eth.chain_id == CHAIN_ID == bank.w3.eth.chain_id

    before = bank.balance(BANK_A.address)
    receipt = bank.send(abi.encode_mint(5_000))
    assert receipt["status"] == 1
    assert receipt["from"] == checksummed(BANK_A.address)
    assert bank.balance(BANK_A.address) == before + 5_000

    # The two customers whom the node derived.
    payer, payee = _derived()
    assert bank.send(abi.encode_register([payer, payee], RETAIL_TIER, 4))["status"] == 1
    until_s = bank.w3.eth.get_block("latest")["timestamp"] + 600
    funding = bank.pay(checksummed(BANK_A.address), payer, 900, 0, until_s)
    assert bank.send(abi.encode_settle(pack([funding]), until_s))["status"] == 1
    assert bank.balance(payer) == 900

    # Thirty payments, with the access list that the node writes itself for them.
    payments = [bank.pay(checksummed(payer), payee, 10 + n, n, until_s) for n in range(30)]
    call = abi.encode_settle(pack(payments), until_s)
    receipt = bank.send(call)
    assert receipt["status"] == 1
    assert bank.balance(payee) == sum(10 + n for n in range(30))
    assert bank.balance(payer) == 900 - bank.balance(payee)


def test_an_access_list_of_the_nodes_own_is_mined_and_another_is_refused(bank: Bank) -> None:
    until_s = bank.w3.eth.get_block("latest")["timestamp"] + 600
    payees = [bytes([0x20 + number]) * 20 for number in range(40)]
    assert bank.send(abi.encode_register(payees, RETAIL_TIER, 4), gas=8_000_000)["status"] == 1
    payer, _ = _derived()
    assert bank.send(abi.encode_register([payer], RETAIL_TIER, 4))["status"] == 1
    payments = [bank.pay(checksummed(payer), payee, 1, n, until_s) for n, payee in enumerate(payees)]
    call = abi.encode_settle(pack(payments), until_s)
    named = accounts_to_list([payer, *payees], len(call))
    own = [
        {"address": checksummed(address), "storageKeys": ["0x" + slot.hex() for slot in slots]}
        for address, slots in access_list(bank.world.currency, BANK_A.address, named)
    ]
    assert own
    shorter = [{**own[0], "storageKeys": own[0]["storageKeys"][:-1]}]
    with pytest.raises(Exception, match="400"):
        bank.send(call, accessList=shorter)
    assert bank.send(call, accessList=own)["status"] == 1


def test_a_nonce_that_was_used_reaches_web3py_as_an_error(bank: Bank) -> None:
    bank.send(abi.encode_mint(5))
    used = bank.w3.eth.get_transaction_count(checksummed(BANK_A.address)) - 1
    with pytest.raises(Web3RPCError, match="Nonce too low") as refused:
        bank.send(abi.encode_mint(6), nonce=used)
    assert refused.value.rpc_response is not None
    assert refused.value.rpc_response["error"]["data"]["code"] == "NonceConflict"  # type: ignore[typeddict-item]


def test_what_policy_refuses_reaches_web3py_as_an_error(bank: Bank) -> None:
    with pytest.raises(Web3RPCError, match="not authorized"):
        bank.send(abi.encode_pause())
    with pytest.raises(Web3RPCError, match="Method not enabled"):
        Web3(bank.signer).eth.sign(checksummed(BANK_A.address), hexstr="0x" + "11" * 32)


def _derived() -> tuple[bytes, bytes]:
    from wallet_node.keystore.derivation import CUSTOMER_PATH, HARDENED, ExtendedKey

    parent = ExtendedKey.from_seed(SEED).descend(CUSTOMER_PATH)
    first, second = (SoftwareKey(parent.child(HARDENED + index).secret).address for index in (0, 1))
    return first, second
