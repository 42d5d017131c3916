"""What `florin up` reads once everything runs, while what it reads dies and comes back.

a read
├── of a database that is killed in the middle of it, or before it: is read anew when the server is back
├── of a chain, or of a node's policy, that is away: is asked again
├── of a chain that comes back without its last blocks: is begun anew
├── that is refused for a reason of its own: fails at once
└── of something that stays away: ends with a word, the last failure and what to do
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from rich.console import Console

from api.chain.errors import RpcRefused
from api.chain.rpc import BlockTag, Header, RpcClient
from api.errors import DatabaseUnavailable
from api.settings import Settings
from scripts.books.chain_replay import ContractState
from scripts.books.institution_books import final_block
from scripts.books.reading import Connection, PatientRpc, connected, read_patiently
from scripts.books.verify import read_chain
from scripts.commands.errors import EXPECTED_ERRORS
from scripts.commands.up import policies_in_force
from scripts.postgres.server import EXTERNAL_URL_VARIABLE, Server, create_database, start
from scripts.supervision.readiness import LOOPBACK
from scripts.terminal.patience import Patience, Unanswered
from scripts.terminal.progress import Steps

AWAY_S = 0.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module's own, to be killed."""
    external = os.environ.pop(EXTERNAL_URL_VARIABLE, None)
    server = start(tmp_path_factory.mktemp("data"), {"shared_buffers": "16MB"})
    yield server
    server.stop()
    if external is not None:
        os.environ[EXTERNAL_URL_VARIABLE] = external


def settings(directory: Path, database_url: str = "postgresql://nobody/none") -> Settings:
    return Settings.from_mapping(
        {
            "institution": "bank-a",
            "institution_name": "First Bank",
            "kind": "bank",
            "participant_id": 1,
            "database_url": database_url,
            "listen_port": 0,
            "signer_socket": directory / "node.sock",
            "rpc_url": "http://127.0.0.1:1",
            "manifest_path": directory / "none.json",
            "currency": "CZK",
            "currency_exponent": 2,
            "is_sandbox": True,
        }
    )


@pytest.fixture(scope="module")
def bank(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A bank whose books follow the chain up to block 41."""
    urls = create_database(server, "bank", "bank_owner", "bank_app")

    async def fill() -> None:
        connection = await asyncpg.connect(urls.owner_url)
        await connection.execute(
            "CREATE TABLE chain_cursor AS SELECT 41::bigint AS final_number;"
            "GRANT SELECT ON chain_cursor TO bank_app"
        )
        await connection.close()

    asyncio.run(fill())
    return settings(tmp_path_factory.mktemp("bank"), urls.app_url)


def kill(server: Server) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def test_a_database_that_is_away_is_waited_for(server: Server, bank: Settings) -> None:
    kill(server)
    reading = asyncio.create_task(final_block(bank))
    await asyncio.sleep(AWAY_S)
    assert not reading.done()
    await asyncio.to_thread(server.revive)
    assert await reading == 41


async def test_what_was_being_read_when_the_database_died_is_read_anew(
    server: Server, bank: Settings
) -> None:
    began = asyncio.Queue[int]()

    async def read(connection: Connection) -> int:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            began.put_nowait(1)
            await connection.execute("SELECT pg_sleep(1)")
            number: int = await connection.fetchval("SELECT final_number FROM chain_cursor")
            return number

    reading = asyncio.create_task(read_patiently(bank, read))
    await began.get()
    await asyncio.sleep(0.2)
    kill(server)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(server.revive)
    assert await reading == 41
    assert began.qsize() >= 1


async def test_a_database_that_dies_while_nobody_reads_is_unavailable(server: Server, bank: Settings) -> None:
    async def read() -> None:
        async with connected(bank.database_url) as connection:
            kill(server)
            await asyncio.to_thread(server.revive)
            await connection.fetchval("SELECT 1")

    with pytest.raises(DatabaseUnavailable):
        await read()


async def test_a_refusal_is_not_asked_for_again(server: Server, bank: Settings) -> None:
    with pytest.raises(asyncpg.UndefinedTableError):
        await read_patiently(bank, lambda connection: connection.fetchval("SELECT 1 FROM nothing"))


async def answer(content: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(100_000)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    writer.write(head.encode() + content)
    await writer.drain()
    writer.close()


async def test_a_chain_that_is_away_is_asked_again(unused_tcp_port: int) -> None:
    async with PatientRpc(f"http://{LOOPBACK}:{unused_tcp_port}") as rpc:
        asking = asyncio.create_task(rpc.chain_id())
        await asyncio.sleep(AWAY_S)
        assert not asking.done()
        served = b'{"jsonrpc": "2.0", "id": 1, "result": "0x7a69"}'
        async with await asyncio.start_server(lambda *pair: answer(served, *pair), LOOPBACK, unused_tcp_port):
            assert await asking == 31337


async def test_a_node_that_is_away_is_asked_for_its_policy_again(tmp_path: Path) -> None:
    asking = asyncio.create_task(policies_in_force({"bank-a": settings(tmp_path)}))
    await asyncio.sleep(AWAY_S)
    assert not asking.done()
    served = b'{"policy": {"name": "sandbox-bank"}}'
    async with await asyncio.start_unix_server(
        lambda *pair: answer(served, *pair), str(tmp_path / "node.sock")
    ):
        assert await asking == {"bank-a": "sandbox-bank"}


class Chain(RpcClient):
    """A chain without events; its head is another block each time until the heads are used up."""

    def __init__(self, *heads: int, refusals: int) -> None:
        super().__init__("http://nowhere")
        self._heads, self._refusals = list(heads), refusals

    async def latest(self) -> Header:
        return Header(7, bytes([self._heads[0]]) * 32, bytes(32), 0, 0, 0, 0, ())

    async def headers(self, first: int, last: int) -> list[Header]:
        if len(self._heads) > 1:
            self._heads.pop(0)
        return [await self.latest()]

    async def logs(self, contract: bytes, first: int, last: int) -> list[dict[str, Any]]:
        return []

    async def call_contract(
        self, contract: bytes, data: bytes, block: BlockTag = "latest", sender: bytes | None = None
    ) -> bytes:
        if self._refusals:
            self._refusals -= 1
            raise RpcRefused(-32000, "header not found")
        return (len(self._heads) - 1).to_bytes(32)


async def test_a_chain_that_comes_back_without_its_last_blocks_is_read_anew() -> None:
    steps = Steps(Console(quiet=True))
    for refusals in (0, 1):
        chain = Chain(1, 2, 3, refusals=refusals)
        history, state = await read_chain(chain, bytes(20), 1, steps)
        assert (history.last_block, state) == (7, ContractState(0, {}, {}))
    with pytest.raises(RpcRefused):
        await read_chain(Chain(1, refusals=1), bytes(20), 1, steps)


async def test_what_stays_away_is_given_up_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(Patience, "LONGEST_S", AWAY_S)
    nowhere = settings(tmp_path, f"postgresql://nobody@{LOOPBACK}:{unused_tcp_port}/none")
    with pytest.raises(Unanswered, match=r"database of bank-a gave no answer .* run the same command again"):
        await final_block(nowhere)
    with pytest.raises(Unanswered, match="wallet node of bank-a"):
        await policies_in_force({"bank-a": nowhere})
    async with PatientRpc(f"http://{LOOPBACK}:{unused_tcp_port}") as rpc:
        with pytest.raises(Unanswered, match="the chain gave no answer"):
            await rpc.latest()
    assert Unanswered in EXPECTED_ERRORS
