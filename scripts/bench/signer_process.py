"""The node as a process: how soon it is ready, what memory it takes, how long a single payment waits."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

from scripts.bench.signer_home import SignerHome

CONNECTIONS = 8
_START_TIMEOUT_S = 60.0
_POLL_S = 0.005
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Latencies:
    """Milliseconds from the moment that a request was due until its answer was read."""

    per_s: int
    requests: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    highest_ms: float

    @classmethod
    def of(cls, per_s: int, seconds: Sequence[float]) -> Latencies:
        """Of what was measured."""
        ordered = sorted(seconds)

        def at(share: float) -> float:
            return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1_000, 2)

        return cls(per_s, len(ordered), at(0.5), at(0.9), at(0.99), at(1.0))


class NodeProcess:
    """A serving node, a context manager. On entering it is ready; `ready_s` is what that took."""

    def __init__(self, home: SignerHome, directory: Path) -> None:
        self._home = home
        self._socket = directory / "signer.sock"
        self._log = directory / "signer.log"
        self.ready_s = 0.0

    def __enter__(self) -> Self:
        environment = {**os.environ, "FLORIN_WALLET_NODE_PASSPHRASE_FILE": str(self._home.passphrase_file)}
        command = [sys.executable, "-m", "wallet_node.main", "serve", "--home", str(self._home.path)]
        command += ["--socket", str(self._socket), "--policy", str(self._home.policy_file)]
        began_s = time.perf_counter()
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=log)
        while not self._is_ready():
            if self._process.poll() is not None or time.perf_counter() > began_s + _START_TIMEOUT_S:
                self._process.kill()
                raise RuntimeError(f"the node did not start: {self._log.read_text()}")
            time.sleep(_POLL_S)
        self.ready_s = time.perf_counter() - began_s
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(timeout=_START_TIMEOUT_S)

    def _is_ready(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as asking:
            asking.settimeout(_START_TIMEOUT_S)
            asking.connect(str(self._socket))
            asking.sendall(b"GET /readyz HTTP/1.1\r\nhost: signer\r\nconnection: close\r\n\r\n")
            return asking.recv(64).startswith(b"HTTP/1.1 200")
        return False

    def memory_mb(self) -> tuple[float, float]:
        """What is resident now, and the most that ever was (proc(5): VmRSS, VmHWM)."""
        told = dict(
            line.split(":", 1) for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        )
        now, highest = (round(int(told[name].split()[0]) * 1_024 / 1e6, 1) for name in ("VmRSS", "VmHWM"))
        return now, highest

    def sign(self, bodies: Iterable[bytes]) -> None:
        """Send requests one after the other."""

        async def send() -> None:
            async with self._session() as session:
                for body in bodies:
                    await _post(session, body)

        asyncio.run(send())

    def pay_one_by_one(self, bodies: Sequence[bytes], per_s: int) -> Latencies:
        """Send requests at a steady pace, whether or not earlier ones are answered."""
        return asyncio.run(self._pay(bodies, per_s))

    async def _pay(self, bodies: Sequence[bytes], per_s: int) -> Latencies:
        loop = asyncio.get_running_loop()
        waited_s: list[float] = []

        async def pay(session: aiohttp.ClientSession, body: bytes, due_s: float) -> None:
            await _post(session, body)
            waited_s.append(loop.time() - due_s)

        async with self._session() as session, asyncio.TaskGroup() as tasks:
            await asyncio.gather(*(_alive(session) for _ in range(CONNECTIONS)))
            gc.collect()
            gc.disable()  # the measure must not wait for its own garbage
            try:
                began_s = loop.time() + 0.05
                for number, body in enumerate(bodies):
                    due_s = began_s + number / per_s
                    await asyncio.sleep(due_s - loop.time())
                    tasks.create_task(pay(session, body, due_s))
            finally:
                gc.enable()
        return Latencies.of(per_s, waited_s)

    def _session(self) -> aiohttp.ClientSession:
        connector = aiohttp.UnixConnector(path=str(self._socket), limit=CONNECTIONS)
        return aiohttp.ClientSession("http://signer", connector=connector)


async def _post(session: aiohttp.ClientSession, body: bytes) -> None:
    async with session.post("/v1/payments:sign", data=body, headers=_JSON) as response:
        answer = await response.read()
        if response.status != 200 or b'"refusal"' in answer:
            raise RuntimeError(f"the node answered {response.status}: {answer[:500]!r}")


async def _alive(session: aiohttp.ClientSession) -> Any:
    async with session.get("/healthz") as response:
        return await response.read()
