"""web3.py, unchanged, with its accounts in the node: it is signed for over the wire, and a chain mines it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from node_builders import NO_PROOF
from node_process import NodeProcess
from open_doors import certificates
from web3 import EthereumTesterProvider, HTTPProvider, Web3
from web3.exceptions import Web3RPCError
from web3.middleware import Web3Middleware

from contracts import abi
from contracts.access_lists import access_list, accounts_to_list
from contracts.authorizations import Permit
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
from wallet_node.deployment import Binding
from wallet_node.keystore.signatures import compact
from wallet_node.transport.endpoints import AUTHORITY, IDENTITY

PEOPLE = (ALICE, BOB, CAROL, MERCHANT, UNLINKED, BANK_A, BANK_B)
ROLES = (GOVERNOR, ISSUER, PAUSER, UPGRADER, SUPERVISOR, REGISTRAR)


CALLERS = b"""
callers:
  - {name: api, verbs: [derive, read, metrics]}
  - {name: tools, verbs: [web3signer]}
"""


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
    derived: list[bytes]
    """The customers whose keys the node holds."""

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
    """web3.py has a certificate as the caller `tools`; the node is a process of its own."""
    chain = EthTesterChain(PEOPLE, ROLES)
    world = World(evm=chain, chain_id=CHAIN_ID)
    made = certificates(tmp_path / "certificates", "tools")
    policy = tmp_path / "policy.yaml"
    policy.write_bytes(NO_PROOF + CALLERS)
    node = NodeProcess.make(tmp_path)
    node.prepare(Binding(CHAIN_ID, "0x" + world.currency.hex(), NAME), BANK_A.key)
    node.policy = str(policy)
    node.listen = ["tools=tls:127.0.0.1:0", "--certificates", str(made / "server")]
    client = node.start()
    derived = client.post("/v1/keys:derive", json={"indices": [0, 1]}).json()["addresses"]
    (port,) = re.findall(r"tls:127\.0\.0\.1:(\d+)", node.log[-1].read_text())
    own = made / "callers" / "tools"
    trust = {"verify": str(own / AUTHORITY), "cert": str(own / IDENTITY)}
    signer = HTTPProvider(f"https://127.0.0.1:{port}", request_kwargs=trust)
    w3 = Web3(EthereumTesterProvider(chain.tester))
    middleware = type("Signing", (SigningOverTheWire,), {"signer": signer})
    w3.middleware_onion.add(middleware, "signing")
    yield Bank(w3, signer, world, [bytes.fromhex(each[2:]) for each in derived])
    client.close()
    node.kill()


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
    payer, payee = bank.derived
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
    payer, _ = bank.derived
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
    document = Permit(BANK_A.address, BOB.address, 5, 0, bank.w3.eth.get_block("latest")["timestamp"] + 60)
    answer = bank.signer.make_request(
        "eth_signTypedData_v4", [checksummed(BANK_A.address), document.typed_data(bank.world.domain)]
    )
    assert answer["error"]["data"]["code"] == "NoRuleAllows"  # type: ignore[typeddict-item]


def test_the_rest_of_the_wire_is_served_to_the_caller_and_nothing_else_is(bank: Bank) -> None:
    url, trust = str(bank.signer.endpoint_uri), dict(bank.signer.get_request_kwargs())
    known = {name: trust[name] for name in ("verify", "cert")}

    def ask(method: str, path: str) -> requests.Response:
        return requests.request(method, url + path, **known, timeout=30)

    assert (ask("GET", "/upcheck").status_code, ask("GET", "/upcheck").text) == (200, "OK")
    assert ask("GET", "/healthcheck").json()["outcome"] == "UP"
    assert ask("GET", "/reload").json() == {"status": "idle"}
    assert ask("POST", "/reload").json()["status"] == "completed"
    (point,) = ask("GET", "/api/v1/eth1/publicKeys").json()
    assert Web3.keccak(hexstr=point)[12:] == BANK_A.address
    blind = ask("POST", f"/api/v1/eth1/sign/{point}")
    assert (blind.status_code, blind.json()["code"]) == (403, "BlindSignatureRefused")
    for path in ("/v1/keys", "/v1/journal", "/metrics", "/openapi.json"):
        assert ask("GET", path).json()["code"] == "CallerNotAllowed"
