"""`florin up` as a person runs it: a process of its own, from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from api.money import format_amount
from scripts.orders.api_client import ApiClient
from scripts.orders.run_book import Offices

START_TIMEOUT_S = 300
HEARS_CTRL_C = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it
from scripts.cli import app
app()
"""


@dataclass
class Finished:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def summary(self) -> dict[str, Any]:
        """The last line of --json."""
        summary: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return summary


def florin(*arguments: str | Path) -> Finished:
    """Runs a command of `florin` to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "scripts.cli", *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False,
        env=clean_environment(),
    )  # fmt: skip
    return Finished(done.returncode, done.stdout, done.stderr)


def clean_environment() -> dict[str, str]:
    """The environment without what other tests set for themselves."""
    return {name: value for name, value in os.environ.items() if not name.startswith("FLORIN_")} | {
        "COLUMNS": "100"
    }


class CountryProcess:
    """A country that stays up until it is told to stop. A context manager."""

    def __init__(self, data: Path, *arguments: str | Path) -> None:
        self.data = data
        self._log = data.with_suffix(".log")
        data.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._log_start = log.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-c", HEARS_CTRL_C, "up", "--json", "--data", data, *map(str, arguments)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                start_new_session=True, env=clean_environment(),
            )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    @property
    def messages(self) -> str:
        """What this process has told its user beside the table; its forerunners wrote to the same log."""
        return self._log.read_bytes()[self._log_start :].decode(errors="replace")

    def wait_for_table(self) -> dict[str, Any]:
        """Waits for the summary, which comes when the run has ended well or badly."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                summary: dict[str, Any] = json.loads(line)
                return summary
        raise AssertionError(f"florin up ended with {self.process.wait()}:\n{self.messages}")

    def processes(self) -> list[psutil.Process]:
        """Everything that it runs, PostgreSQL included."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        postmaster = self.data / "postgres" / "cluster" / "postmaster.pid"
        if postmaster.exists():
            found.append(psutil.Process(int(postmaster.read_text().splitlines()[0])))
        return found

    def stop(self) -> int:
        """Ctrl-C, which a terminal sends to the whole foreground group; the exit status."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=60)


class Counters:
    """The three institutions' interfaces, asked with the command's own keys. An async context manager."""

    def __init__(self, data: Path, addresses: dict[str, str]) -> None:
        self._clients = [
            ApiClient(addresses[slug], (data / slug / "api-key").read_text())
            for slug in ("central-bank", "bank-a", "bank-b")
        ]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Offices:
        return Offices(*[await self._stack.enter_async_context(client) for client in self._clients])

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()


def major(amount_minor: int) -> str:
    """Minor units as the oracle writes them."""
    return format_amount(amount_minor, 2).replace(",", "")
