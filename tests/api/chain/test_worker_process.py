"""The worker as a process.

the worker
├── refuses a chain that is not the one of the books, and says what to do
├── refuses a manifest of another version, and says what to do
├── killed at any moment and started again loses nothing and pays nothing twice
├── ends at once, with status 0, when it is told to stop
└── a second one waits for the first one's lease
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
from typing import TYPE_CHECKING

import asyncpg
import pytest

from api.settings import Settings
from tests.api.chain.bank import OWN_BANK, Bank
from tests.api.chain.test_wallet_payments import funded

if TYPE_CHECKING:
    from pathlib import Path

    from tests.api.chain.conftest import Chain
    from tests.api.conftest import Database


LEASED = """
SELECT count(*) > 0 FROM pg_locks JOIN pg_database d ON d.oid = database
 WHERE locktype = 'advisory' AND granted AND d.datname = current_database()
"""


def write_settings(directory: Path, chain: Chain, database: Database, socket: Path) -> Path:
    """The settings file of the bank under test, and its manifest."""
    deployment = chain.deployment
    manifest = directory / "manifest.json"
    manifest.write_text(
        json.dumps(
            {
                "chain_id": deployment.chain_id,
                "genesis_hash": "0x" + deployment.genesis_hash.hex(),
                "contracts": {
                    "proxy": "0x" + deployment.contract.hex(),
                    "notary": "0x" + deployment.notary.hex(),
                },
                "block_number": deployment.deployed_block,
                "currency": {"name": deployment.domain_name, "symbol": "sCZK", "decimals": 2},
            }
        )
    )
    path = directory / "settings.toml"
    path.write_text(
        Settings(
            institution="bank-a", institution_name="Bank A", kind="bank", participant_id=OWN_BANK,
            database_url=database.app_url, listen_port=0, signer_socket=socket, rpc_url=chain.url,
            manifest_path=manifest, currency="CZK", currency_exponent=2, poll_interval_s=0.1,
            is_sandbox=True,
        ).to_toml()
    )  # fmt: skip
    return path


async def start(settings: Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "api.workers", "--settings", str(settings), stderr=asyncio.subprocess.PIPE
    )


async def end(process: asyncio.subprocess.Process, how: signal.Signals) -> tuple[int, str]:
    """Its status and what it wrote."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)
    _, errors = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode is not None
    return process.returncode, errors.decode()


async def until(bank: Bank, query: str, timeout_s: float = 60) -> None:
    """Wait until a query answers true."""
    async with asyncio.timeout(timeout_s):
        while not await bank.pool.fetchval(query):  # noqa: ASYNC110 - another process works
            await asyncio.sleep(0.1)


async def test_it_refuses_a_foreign_chain_and_says_what_to_do(
    bank: Bank,
    chain: Chain,
    database: Database,
    superuser: asyncpg.Connection[asyncpg.Record],
    tmp_path: Path,
) -> None:
    await superuser.execute("UPDATE chain_cursor SET genesis_hash = $1", b"\x0f" * 32)
    settings = write_settings(tmp_path, chain, database, tmp_path / "no-signer")

    process = await start(settings)
    _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 3
    assert "ForeignChain" in errors.decode()
    assert "Point rpc_url at the chain of these books" in errors.decode()


@pytest.mark.parametrize("damage", ["an earlier version's", "no manifest"])
async def test_it_refuses_a_manifest_that_lacks_what_it_needs(
    bank: Bank, chain: Chain, database: Database, tmp_path: Path, damage: str
) -> None:
    settings = write_settings(tmp_path, chain, database, tmp_path / "no-signer")
    manifest = tmp_path / "manifest.json"
    content = json.loads(manifest.read_text())
    content["proxy"] = content.pop("contracts")["proxy"]
    manifest.write_text(json.dumps(content) if damage == "an earlier version's" else "{")

    process = await start(settings)
    _, errors = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 3
    assert "UnusableManifest" in errors.decode()
    assert "make reset" in errors.decode()


async def test_killed_at_any_moment_it_loses_nothing_and_pays_nothing_twice(
    bank: Bank, chain: Chain, database: Database, signer_socket: Path, tmp_path: Path
) -> None:
    payer, payee = await funded(bank, 2, 500_000)
    settings = write_settings(tmp_path, chain, database, signer_socket)
    await bank.rpc.call("evm_setIntervalMining", 1)
    payments = []
    try:
        for round_number in range(3):
            process = await start(settings)
            await until(bank, LEASED)
            for _ in range(15):
                payments.append(await bank.pay(payer, payee.address, 1_000, from_deposit_minor=500))
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.3 * round_number)
            await end(process, signal.SIGKILL)
        process = await start(settings)
        await until(bank, "SELECT count(*) = 0 FROM outbox_payments WHERE state IN ('queued', 'batched')")
        await until(bank, "SELECT count(*) = 10 FROM chain_health")
        second = await start(settings)
        assert second.stderr is not None
        async with asyncio.timeout(30):
            while b"another worker holds the lease" not in await second.stderr.readline():
                pass
        assert (await end(process, signal.SIGTERM))[0] == 0
        assert (await end(second, signal.SIGTERM))[0] == 0
    finally:
        await bank.rpc.call("evm_setIntervalMining", 0)

    assert {await bank.state(each) for each in payments} == {("final", None)}
    assert await bank.posted(payee.account_id) == 500_000 + 1_000 * len(payments)
    assert await bank.on_chain(payee.address) == 500_000 + 1_000 * len(payments)
    health = {row["component"]: row["is_ok"] for row in await bank.pool.fetch("SELECT * FROM chain_health")}
    components = ["anchoring", "chain", "indexer", "orders", "reconciliation", "relay", "signer"]
    components += ["announcing", "messages", "webhooks"]
    assert health == dict.fromkeys(components, True)
    bank.restart()
    await bank.finish()
    await bank.assert_reconciled()
