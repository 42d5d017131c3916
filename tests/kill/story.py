"""A run of a book during which processes are killed without warning; and what must hold after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.journeys.country_process import Counters, CountryProcess, clean_environment, florin
from tests.journeys.expectations import expect_balances, orders_of
from tests.journeys.oracle import Terms, foretell

OPENING = Decimal("25000.00")
FLORIN = "florin"
SERVICES = ("api", "worker", "wallet-node")
INSTITUTIONS = ("central-bank", "bank-a", "bank-b")
VICTIMS = (
    *(f"{slug}-{service}" for slug in INSTITUTIONS for service in SERVICES),
    "chain",
    "postgres",
    FLORIN,
)
"""Everything that runs, the command itself included."""


@dataclass(frozen=True)
class Kill:
    """Kill `victim` so many seconds after the run has done `after`, a step as the command names it."""

    after: str
    delay_s: float
    victim: str


@dataclass
class KilledRun:
    """`florin up` with kills; it is started again whenever it was itself the victim."""

    data: Path
    book: Path
    chain: str
    kills: list[Kill]
    done: list[str] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _country: CountryProcess | None = None
    _has_killed_command: bool = False

    def run(self) -> dict[str, Any]:
        """Runs to the table; its summary. The country is stopped afterwards."""
        killer = threading.Thread(target=self._kill_all, daemon=True)
        killer.start()
        try:
            while True:
                self._has_killed_command = False
                with self._start() as country:
                    try:
                        summary = country.wait_for_table()
                    except AssertionError:
                        if not self._has_killed_command:
                            raise
                        continue
                    self._is_over.set()
                    killer.join()
                    self._expect_fate(summary)
                    return summary
        finally:
            self._is_over.set()

    def _start(self) -> CountryProcess:
        self._country = CountryProcess(self.data, "--chain", self.chain, "--book", self.book)
        return self._country

    def _expect_fate(self, summary: dict[str, Any]) -> None:
        import asyncio

        fate = foretell(self.book, Terms(OPENING))
        assert (summary["payments_final"], summary["refusals"]) == (fate.paid, fate.counts()), self.done
        assert (summary["difference_minor"], summary["findings"]) == (0, 0), self.done

        async def ask() -> None:
            async with Counters(self.data, summary["addresses"]) as offices:
                answers = await orders_of(offices, self.book, fate.refusals)
                assert {order: answer["reasons"] for order, answer in answers.items()} == fate.refusals
                await expect_balances(offices, fate, OPENING)

        asyncio.run(ask())

    def _kill_all(self) -> None:
        for kill in self.kills:
            if not self._reaches(kill.after) or self._is_over.wait(kill.delay_s):
                return
            pid = self._pid_of(kill.victim)
            if pid is not None:
                self._has_killed_command = self._has_killed_command or kill.victim == FLORIN
                self.done.append(f"{kill.victim} {kill.delay_s:.1f} s after {kill.after}")
                os.kill(pid, signal.SIGKILL)

    def _reaches(self, step: str) -> bool:
        while self._country is None or f"{step}:" not in self._country.messages:
            if self._is_over.wait(0.05):
                return False
        return True

    def _pid_of(self, victim: str) -> int | None:
        assert self._country is not None
        if victim == FLORIN:
            return self._country.process.pid
        if victim == "postgres":
            path = self.data / "postgres" / "cluster" / "postmaster.pid"
            return int(path.read_text().splitlines()[0]) if path.exists() else None
        path = self.data / "run" / f"{victim}.json"
        return int(json.loads(path.read_text())["pid"]) if path.exists() else None


def expect_clean_books(data: Path) -> None:
    """Journal, chain and every signer's log hold, replayed from their beginning."""
    verdict = florin("verify-books", "--data", data)
    assert verdict.status == 0, verdict.output + verdict.errors
    for slug in INSTITUTIONS:
        subprocess.run(
            [sys.executable, "-m", "wallet_node.main", "verify-journal",
             "--home", data / slug / "wallet-node"],
            env=clean_environment(), check=True, capture_output=True,
        )  # fmt: skip
