"""Which chain and contracts the books belong to, and the refusal to work with any other."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import msgspec

from api.chain.errors import ForeignChain, TransfersNotEmitted, UnusableManifest
from contracts.abi import decode_uint, encode_emits_transfers

ANCHOR: Final = "anchor"
"""The kind of a transaction that goes to the notary; every other one goes to the currency."""

if TYPE_CHECKING:
    from api.chain.rpc import RpcClient
    from api.database import Connection


class _Currency(msgspec.Struct):
    name: str


class _Contracts(msgspec.Struct):
    proxy: str
    notary: str


class _Manifest(msgspec.Struct):
    """What is read of a deployment's manifest (contracts.manifest writes it, with more fields)."""

    chain_id: int
    genesis_hash: str
    contracts: _Contracts
    block_number: int
    currency: _Currency


@dataclass(frozen=True, slots=True)
class Deployment:
    """The currency's contract on its chain, and the notary beside it.

    `domain_name` is the token's name, part of every payment's signature.
    """

    chain_id: int
    genesis_hash: bytes
    contract: bytes
    deployed_block: int
    domain_name: str
    notary: bytes

    def target_of(self, kind: str) -> bytes:
        """The contract that a transaction of this kind calls."""
        return self.notary if kind == ANCHOR else self.contract

    @classmethod
    def load(cls, manifest_path: Path) -> Self:
        """Read a manifest written by `florin deploy`. Raises `UnusableManifest`, and OSError."""
        try:
            manifest = msgspec.json.decode(manifest_path.read_bytes(), type=_Manifest)
            return cls(
                manifest.chain_id,
                bytes.fromhex(manifest.genesis_hash[2:]),
                bytes.fromhex(manifest.contracts.proxy[2:]),
                manifest.block_number,
                manifest.currency.name,
                bytes.fromhex(manifest.contracts.notary[2:]),
            )
        except ValueError as failure:  # msgspec's own errors as well
            raise UnusableManifest(str(manifest_path), str(failure)) from failure


async def require_own_chain(rpc: RpcClient, deployment: Deployment) -> None:
    """Raise `ForeignChain` unless the node serves the chain of the manifest, with the contracts on it.

    `TransfersNotEmitted` where no books can be kept from its events.
    """
    genesis = await rpc.headers(0, 0)
    found = genesis[0].hash if genesis else b""
    if found != deployment.genesis_hash:
        raise ForeignChain("the genesis block", _text(deployment.genesis_hash), _text(found))
    chain_id = await rpc.chain_id()
    if chain_id != deployment.chain_id:
        raise ForeignChain("the chain id", str(deployment.chain_id), str(chain_id))
    if not await rpc.code(deployment.contract):
        raise ForeignChain("the code of the currency's contract", _text(deployment.contract), "absent")
    if not await rpc.code(deployment.notary):
        raise ForeignChain("the code of the notary", _text(deployment.notary), "absent")
    await require_transfers(rpc, deployment.contract)


async def require_transfers(rpc: RpcClient, contract: bytes) -> None:
    """Raise `TransfersNotEmitted` unless the contract tells of each batched payment by a Transfer."""
    if not decode_uint(await rpc.call_contract(contract, encode_emits_transfers())):
        raise TransfersNotEmitted(contract)


async def open_cursor(connection: Connection, rpc: RpcClient, deployment: Deployment) -> None:
    """Remember the chain at the first start.

    At every other one raise `ForeignChain` if the manifest differs.
    """
    cursor = await connection.fetchrow("SELECT genesis_hash, chain_id, contract FROM chain_cursor")
    if cursor is not None:
        for what, expected, given in (
            ("the genesis block", cursor["genesis_hash"], deployment.genesis_hash),
            ("the currency's contract", cursor["contract"], deployment.contract),
        ):
            if expected != given:
                raise ForeignChain(what, _text(expected), _text(given))
        if cursor["chain_id"] != deployment.chain_id:
            raise ForeignChain("the chain id", str(cursor["chain_id"]), str(deployment.chain_id))
        return
    before = (await rpc.headers(deployment.deployed_block - 1, deployment.deployed_block - 1))[0]
    await connection.execute(
        """INSERT INTO chain_blocks (number, hash, parent_hash, time_s) VALUES ($1, $2, $3, $4)
           ON CONFLICT (number) DO NOTHING""",
        before.number, before.hash, before.parent_hash, before.time_s,
    )  # fmt: skip
    await connection.execute(
        """INSERT INTO chain_cursor (genesis_hash, chain_id, contract, deployed_block, final_number,
        final_hash, final_time_s, head_number, head_time_s) VALUES ($1, $2, $3, $4, $5, $6, $7, $5, $7)""",
        deployment.genesis_hash, deployment.chain_id, deployment.contract, deployment.deployed_block,
        before.number, before.hash, before.time_s,
    )  # fmt: skip


def _text(data: bytes) -> str:
    return "0x" + data.hex()
