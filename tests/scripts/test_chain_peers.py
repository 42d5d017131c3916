"""What an integrator's tools see: web3.py pays through the development chain; eth-tester judges the history.

Both chains are driven by web3.py and eth-account alone, from the committed artifacts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from eth_account import Account
from eth_tester import EthereumTester, PyEVMBackend
from web3 import EthereumTesterProvider, HTTPProvider, Web3
from web3.exceptions import ContractCustomError
from web3.logs import DISCARD

from contracts.abi import load_abi, load_artifact
from contracts.batch import Record, pack

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

GAS = 6_000_000
FEE_WEI = 10**11
NO_LIMIT = 2**64 - 1
KEYS = {
    name: Account.from_key(Web3.keccak(text=f"peer {name}"))
    for name in ("deployer", "bank", "alice", "merchant", "nobody")
}


class Integrator:
    """A user of web3.py with a few keys of their own."""

    def __init__(self, web3: Web3, fund: Any, mine: Any) -> None:
        self.web3 = web3
        self.mine = mine
        for account in KEYS.values():
            fund(account.address)
        self.receipts: list[Any] = []
        self.token: Any = None

    def send(self, sender: LocalAccount, transaction: dict[str, Any]) -> Any:
        """Sign, send, wait; the receipt."""
        signed = sender.sign_transaction(
            {
                "chainId": self.web3.eth.chain_id,
                "nonce": self.web3.eth.get_transaction_count(sender.address),
                "gas": GAS,
                "maxFeePerGas": FEE_WEI,
                "maxPriorityFeePerGas": 1,
                "value": 0,
                **transaction,
            }
        )
        sent = self.web3.eth.send_raw_transaction(signed.raw_transaction)
        self.mine()
        receipt = self.web3.eth.wait_for_transaction_receipt(sent, timeout=30, poll_latency=0.05)
        self.receipts.append(receipt)
        return receipt

    def create(self, name: str, *arguments: Any) -> str:
        """Deploy an artifact; its address."""
        artifact = load_artifact(name)
        factory = self.web3.eth.contract(abi=artifact["abi"], bytecode=artifact["bytecode"])
        data = factory.constructor(*arguments).data_in_transaction
        address: str = self.send(KEYS["deployer"], {"data": data})["contractAddress"]
        return address

    def call(self, sender: LocalAccount, name: str, *arguments: Any) -> Any:
        """Call a function of the token in a transaction."""
        data = self.token.encode_abi(name, args=list(arguments))
        return self.send(sender, {"to": self.token.address, "data": data})

    def signed_record(self, payer: LocalAccount, payee: str, amount: int, nonce: int, valid: int) -> Record:
        """A payment approved with eth-account's own EIP-712 encoder."""
        signature = payer.sign_typed_data(
            {
                "name": "Koruna",
                "version": "1",
                "chainId": self.web3.eth.chain_id,
                "verifyingContract": self.token.address,
            },
            {
                "Payment": [
                    {"name": "payee", "type": "address"},
                    {"name": "amount", "type": "uint256"},
                    {"name": "nonce", "type": "uint256"},
                    {"name": "validBefore", "type": "uint256"},
                ]
            },
            {"payee": payee, "amount": amount, "nonce": nonce, "validBefore": valid},
        )
        vs = signature.s | (signature.v - 27) << 255
        return Record(
            bytes.fromhex(payee[2:]), amount, nonce, signature.r.to_bytes(32, "big"), vs.to_bytes(32, "big")
        )

    def live(self) -> None:
        """Deploy, admit a bank, issue, register, settle a batch with a waterfall and a refusal."""
        deployer, bank = KEYS["deployer"], KEYS["bank"]
        alice, merchant, nobody = (KEYS[name].address for name in ("alice", "merchant", "nobody"))
        implementation = self.create("DigitalCurrency", self.create("Administration"), "Koruna")
        abi = load_abi()
        self.token = self.web3.eth.contract(implementation, abi=abi)
        terms = ("Koruna", "CZK", 2, *([deployer.address] * 6), 60)
        proxy = self.create("ERC1967Proxy", implementation, self.token.encode_abi("initialize", args=[terms]))
        self.token = self.web3.eth.contract(proxy, abi=abi)

        self.call(deployer, "setTier", 1, NO_LIMIT, NO_LIMIT, NO_LIMIT)
        self.call(deployer, "setTier", 2, 1_000, 1_000, 5_000)
        self.call(deployer, "setParticipant", 7, bank.address, 1, 0b110)
        self.call(deployer, "increaseMintAllowance", 7, 9_000)
        self.call(bank, "mint", 9_000)
        self.call(bank, "register", [alice, merchant], 2, 4)
        valid = self.web3.eth.get_block("latest")["timestamp"] + 100_000
        records = [
            self.signed_record(bank, alice, 1_000, 0, valid),
            self.signed_record(KEYS["alice"], merchant, 900, 0, valid),
            self.signed_record(KEYS["alice"], nobody, 1, 1, valid),
            self.signed_record(bank, merchant, 50, 1, valid),
            self.signed_record(KEYS["merchant"], alice, 950, 4, valid),
            self.signed_record(bank, alice, 1, 1, valid),
        ]
        self.call(bank, "settle", pack(records), valid)
        self.call(KEYS["alice"], "transfer", merchant, 30)


@pytest.fixture(scope="module")
def here(chain_url: str) -> Integrator:
    web3 = Web3(HTTPProvider(chain_url))

    def fund(address: str) -> None:
        web3.provider.make_request("anvil_setBalance", [address, hex(10**20)])  # type: ignore[arg-type]

    integrator = Integrator(web3, fund, lambda: web3.provider.make_request("evm_mine", []))  # type: ignore[arg-type]
    integrator.live()
    return integrator


@pytest.fixture(scope="module")
def judge() -> Integrator:
    genesis = PyEVMBackend.generate_genesis_params(overrides={"gas_limit": 100_000_000})
    tester = EthereumTester(PyEVMBackend(genesis_parameters=genesis))
    rich = tester.get_accounts()[0]

    def fund(address: str) -> None:
        tester.send_transaction({"from": rich, "to": address, "gas": 21_000, "value": 10**20})

    integrator = Integrator(Web3(EthereumTesterProvider(tester)), fund, lambda: None)
    integrator.live()
    return integrator


def _essence(integrator: Integrator) -> list[dict[str, Any]]:
    """What a receipt says that does not depend on where blocks begin."""
    return [
        {
            "status": receipt["status"],
            "gas": receipt["gasUsed"],
            "created": receipt["contractAddress"],
            "logs": [
                (log["address"], [topic.hex() for topic in log["topics"]], bytes(log["data"]).hex())
                for log in receipt["logs"]
            ],
        }
        for receipt in integrator.receipts
    ]


def test_eth_tester_gives_the_same_receipts_for_the_same_history(here: Integrator, judge: Integrator) -> None:
    ours, theirs = _essence(here), _essence(judge)
    assert len(ours) == 11
    # the settlements carry times, and calldata costs by its zero bytes: their gas may differ by those few
    for index, (mine, expected) in enumerate(zip(ours, theirs, strict=True)):
        gas, expected_gas = mine.pop("gas"), expected.pop("gas")
        assert mine == expected, index
        assert abs(gas - expected_gas) <= (2_000 if index == 9 else 0), index


def test_both_chains_end_with_the_same_accounts(here: Integrator, judge: Integrator) -> None:
    owners = [account.address for account in KEYS.values()]
    words = [integrator.token.functions.accountWords(owners).call() for integrator in (here, judge)]
    assert words[0] == words[1]
    assert sum(word & (2**96 - 1) for word in words[0]) == 9_000


def test_web3_decodes_every_event_of_a_batch_from_the_committed_interface(here: Integrator) -> None:
    events = here.token.events
    receipt = here.receipts[9]
    assert [each["args"]["value"] for each in events.Transfer().process_receipt(receipt, errors=DISCARD)] == [
        1_000, 900, 50, 950, 50,
    ]  # fmt: skip
    waterfall = events.Waterfall().process_receipt(receipt, errors=DISCARD)
    assert [each["args"]["excess"] for each in waterfall] == [50]
    skipped = events.Skipped().process_receipt(receipt, errors=DISCARD)[0]["args"]
    assert (skipped["bitmap"], skipped["reasons"]) == (bytes([0b100100]), bytes([17, 3]))
    settled = events.BatchSettled().process_receipt(receipt, errors=DISCARD)[0]["args"]
    assert (settled["participant"], settled["records"], settled["executed"]) == (7, 6, 4)


def test_web3_finds_the_transfers_by_filter(here: Integrator) -> None:
    alice = KEYS["alice"].address
    logs = here.token.events.Transfer().get_logs(from_block=0, argument_filters={"from": alice})
    assert [each["args"]["value"] for each in logs] == [900, 50, 30]


def test_web3_sees_a_custom_error_with_its_arguments_before_it_sends(here: Integrator) -> None:
    nobody = KEYS["nobody"].address
    with pytest.raises(ContractCustomError) as caught:
        here.token.functions.transfer(nobody, 1).call({"from": KEYS["alice"].address})
    selector = Web3.keccak(text="PayeeNotRegistered(address)")[:4].hex()
    assert str(caught.value.data).removeprefix("0x") == selector + nobody[2:].lower().rjust(64, "0")
