"""Keys outside of the bank under test: the central bank's roles, another bank, a customer's own key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eth_account import Account
from eth_hash.auto import keccak

from contracts import notary
from contracts.abi import (
    administration_creation_code,
    encode_initialize,
    implementation_creation_code,
    proxy_creation_code,
)
from contracts.transactions import contract_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.chain.rpc import RpcClient

CURRENCY_NAME = "Sandbox Koruna"
UPGRADE_DELAY_S = 172_800


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


async def deploy_currency(
    rpc: RpcClient, deployer: Operator, roles: Sequence[bytes], *, emits_transfers: bool = True
) -> tuple[bytes, int]:
    """The proxy of a new currency, and its block.

    `roles`: governor, issuer, pauser, upgrader, supervisor, registrar.
    """
    nonce = await rpc.transaction_count(deployer.address)
    administration, implementation, proxy = (
        contract_address(deployer.address, nonce + at) for at in range(3)
    )
    initialisation = encode_initialize(CURRENCY_NAME, "sCZK", 2, roles, UPGRADE_DELAY_S)
    for creation in (
        administration_creation_code(),
        implementation_creation_code(administration, CURRENCY_NAME, emits_transfers=emits_transfers),
        proxy_creation_code(implementation, initialisation),
    ):
        await succeed(rpc, await deployer.send(rpc, None, creation, gas=15_000_000))
    return proxy, (await rpc.latest()).number


async def deploy_notary(rpc: RpcClient, deployer: Operator, currency: bytes) -> bytes:
    """A notary for the institutions of a currency."""
    nonce = await rpc.transaction_count(deployer.address)
    await succeed(rpc, await deployer.send(rpc, None, notary.creation_code(currency)))
    return contract_address(deployer.address, nonce)
