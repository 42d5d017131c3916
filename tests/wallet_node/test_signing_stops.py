"""After a signature that does not verify, a node signs nothing until it is started anew, and tests itself.

a key that signs wrongly once
├── stops every verb that signs, of every key, also by web3signer's wire: SigningStopped
├── also requests that are under way beside it: none of their signatures is handed out
├── and none of the verbs that only read, revoke, or say no
└── a process that is started anew signs, when its self-test verifies, and gives the bytes of the same attempt
"""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from http_calls import call
from node_builders import SEED, Home, batch, customers, payment, transaction
from policy_builders import HEAD
from typed_data_requests import asking, fan_out

from contracts.abi import encode_mint
from wallet_node.callers import Caller, Peer
from wallet_node.errors import SignatureCheckFailed, SigningStopped
from wallet_node.intents.requests import Transaction
from wallet_node.keystore.files import Secrets
from wallet_node.keystore.software_key import SoftwareKey
from wallet_node.node import WalletNode
from wallet_node.policy.policy import Policy
from wallet_node.transport.routes import Application

RULES = """
customers: {highest_index: 9}
payments: [{name: all, effect: allow, payer: any, payee: any, intents: [payment, fan_out]}]
transactions: [{name: minting, effect: allow, key: institution, to: currency, calls: [mint(uint256)]}]
"""
SOURCE = (HEAD + RULES).encode()
MINT = "0x" + encode_mint(5).hex()
EVERYTHING = Caller(
    "all",
    ("read", "sign-payments", "sign-transactions", "sign-typed-data", "repair", "mandates", "web3signer"),
)


@dataclass
class Faulty:
    """A software key whose signatures are another message's while it is broken."""

    key: SoftwareKey
    is_broken: bool = False

    @property
    def address(self) -> bytes:
        return self.key.address

    def sign_digest(self, digest: bytes) -> bytes:
        return self.key.sign_digest(bytes(32) if self.is_broken else digest)


@dataclass
class Machine:
    """A home whose institutional key can break."""

    home: Home

    def __post_init__(self) -> None:
        self.key = Faulty(SoftwareKey(b"\x11" * 32))
        self.restart()

    def restart(self) -> None:
        self.home.close()
        secrets = Secrets(SEED, {"institution": self.key})  # type: ignore[dict-item]
        self.node = WalletNode(self.home.path, secrets, Policy(SOURCE), self.home.clock)
        self.home.opened.append(self.node)
        self.application = Application(self.node, callers=lambda: (EVERYTHING,))

    async def ask(self, path: str, body: Any = None, method: str = "POST") -> tuple[int, Any]:
        sent = b"" if body is None else json.dumps(body).encode()
        status, _, content = await call(self.application, method, path, sent, peer=Peer("all"))
        return status, content

    def mint(self) -> Transaction:
        return msgspec.convert(transaction(MINT), Transaction)


@pytest.fixture
def machine(home: Home) -> Machine:
    return Machine(home)


async def test_one_signature_that_does_not_verify_stops_them_all(machine: Machine) -> None:
    machine.node.test_itself()
    (payer,) = customers(machine.node, 1)
    stuck = transaction(MINT)
    assert (await machine.ask("/v1/transactions:sign", stuck))[0] == 200
    machine.key.is_broken = True
    asked = transaction(MINT)
    status, problem = await machine.ask("/v1/transactions:sign", asked)
    assert (status, problem["code"]) == (500, "SignatureCheckFailed")
    machine.key.is_broken = False
    repair = {
        "transaction_id": stuck["transaction_id"],
        "max_fee_per_gas": 9**9,
        "max_priority_fee_per_gas": 1,
    }
    for path, body in (
        ("/v1/transactions:sign", asked),
        ("/v1/transactions:sign", transaction(MINT)),
        ("/v1/payments:sign", batch(payment(payer))),
        ("/v1/typed-data:sign", asking(fan_out(payer))),
        ("/v1/transactions:repair", repair),
    ):
        status, problem = await machine.ask(path, body)
        assert (status, problem["code"]) == (503, "SigningStopped"), path
        assert "restart" in problem["detail"]
    typed = {"jsonrpc": "2.0", "id": 1, "method": "eth_accounts", "params": []}
    (sender,) = (await machine.ask("/", typed))[1]["result"]
    wire = {"from": sender, "to": stuck["to"], "data": MINT, "type": "0x2", "gas": "0x186a0", "value": "0x0"}
    wire |= {"nonce": "0x2", "maxFeePerGas": "0x2", "maxPriorityFeePerGas": "0x1"}
    _, answer = await machine.ask("/", typed | {"method": "eth_signTransaction", "params": [wire]})
    assert answer["error"]["data"]["code"] == "SigningStopped"
    assert (await machine.ask("/readyz", method="GET"))[0] == 503
    assert (await machine.ask("/v1/journal", method="GET"))[0] == 200
    assert (await machine.ask("/v1/mandates:revoke", {"mandate_ids": [stuck["transaction_id"]]}))[0] == 200
    with pytest.raises(SigningStopped):
        machine.node.test_itself()

    machine.restart()
    machine.node.test_itself()
    status, answer = await machine.ask("/v1/transactions:sign", asked)
    assert (status, answer["nonce"]) == (200, 1)
    assert (await machine.ask("/v1/payments:sign", batch(payment(payer))))[0] == 200


async def test_what_was_under_way_beside_it_is_not_handed_out(machine: Machine) -> None:
    machine.key.is_broken = True
    asked = [machine.node.sign_transaction_together(machine.mint()) for _ in range(2)]
    (payer,) = customers(machine.node, 1)
    request = batch(payment(payer))
    answers = await asyncio.gather(*asked, machine.ask("/v1/payments:sign", request), return_exceptions=True)
    assert isinstance(answers[0], SignatureCheckFailed)
    assert isinstance(answers[1], SignatureCheckFailed | SigningStopped)
    status, problem = answers[2]  # type: ignore[misc]
    assert (status, problem["code"]) == (503, "SigningStopped")  # its own key is sound
    machine.key.is_broken = False
    machine.restart()
    _, again = await machine.ask("/v1/payments:sign", request)
    assert again["results"][0]["nonce"] == 0


def test_a_self_test_that_fails_stops_it_as_well(machine: Machine) -> None:
    machine.key.is_broken = True
    with pytest.raises(SignatureCheckFailed):
        machine.node.test_itself()
    machine.key.is_broken = False
    with pytest.raises(SigningStopped):
        machine.node.sign_transaction(machine.mint())
    assert not machine.node.readiness()["ready"]
