"""Keys outside of the bank under test: the central bank's roles, another bank, a customer's own key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eth_abi.abi import encode
from eth_account import Account
from eth_hash.auto import keccak

from contracts.abi import SELECTORS, load_artifact

if TYPE_CHECKING:
    from api.chain.rpc import RpcClient

CURRENCY_NAME = "Sandbox Koruna"
UPGRADE_DELAY_S = 172_800
_INIT = "initialize((string,string,uint8,address,address,address,address,uint32))"
_INIT_TYPE = "(string,string,uint8,address,address,address,address,uint32)"


class Operator:
    """One key that sends transactions by itself."""

    def __init__(self, name: str) -> None:
        self.account = Account.from_key(keccak(b"florin test " + name.encode()))
        self.address = bytes.fromhex(self.account.address[2:])

    async def send(self, rpc: RpcClient, to: bytes | None, data: bytes, gas: int = 5_000_000) -> bytes:
        """Sign and broadcast; the hash. It is mined by the next block."""
        transaction = {
            "type": 2,
            "chainId": await rpc.chain_id(),
            "nonce": await rpc.transaction_count(self.address, "pending"),
            "gas": gas,
            "maxFeePerGas": 10_000_000_000,
            "maxPriorityFeePerGas": 1_000_000_000,
            "value": 0,
            "data": data,
        }
        if to is not None:
            transaction["to"] = to
        signed = self.account.sign_transaction(transaction)
        (refusal,) = await rpc.send_raw([bytes(signed.raw_transaction)])
        if refusal is not None:
            raise refusal
        return bytes(signed.hash)


async def mine(rpc: RpcClient, blocks: int = 1) -> None:
    """Make blocks at once."""
    await rpc.call("anvil_mine", hex(blocks))


async def succeed(rpc: RpcClient, transaction_hash: bytes) -> None:
    """Mine and assert that the transaction did not revert."""
    await mine(rpc)
    (receipt,) = await rpc.receipts([transaction_hash])
    assert receipt is not None
    assert receipt.is_success


async def deploy_currency(rpc: RpcClient, deployer: Operator, roles: dict[str, bytes]) -> tuple[bytes, int]:
    """The proxy of a new currency, and its block."""
    nonce = await rpc.transaction_count(deployer.address)
    implementation = created_address(deployer.address, nonce)
    code = bytes.fromhex(str(load_artifact("DigitalCurrency")["bytecode"]).removeprefix("0x"))
    await succeed(rpc, await deployer.send(rpc, None, code, gas=15_000_000))
    terms = (
        CURRENCY_NAME, "sCZK", 2, *(roles[name] for name in ("governor", "issuer", "pauser", "upgrader")),
        UPGRADE_DELAY_S,
    )  # fmt: skip
    call = SELECTORS[_INIT] + encode([_INIT_TYPE], [terms])
    proxy_code = bytes.fromhex(str(load_artifact("ERC1967Proxy")["bytecode"]).removeprefix("0x"))
    proxy = created_address(deployer.address, nonce + 1)
    await succeed(
        rpc, await deployer.send(rpc, None, proxy_code + encode(["address", "bytes"], [implementation, call]))
    )
    return proxy, (await rpc.latest()).number


def created_address(creator: bytes, nonce: int) -> bytes:
    """The address of a contract that `creator` creates with `nonce`."""
    import rlp

    return keccak(rlp.encode([creator, nonce]))[12:]
