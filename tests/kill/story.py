"""A run of a book during which processes are killed without warning; and what must hold after it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil

from scripts.supervision.leftovers import process_birth
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
MOST_ABSENCES = 300


@dataclass(frozen=True)
class Kill:
    """Kill `victim` so many seconds after the run has done `after`, a step as the command names it."""

    after: str
    delay_s: float
    victim: str

    def __str__(self) -> str:
        return f"{self.victim} {self.delay_s:.1f} s after {self.after}"


@dataclass(frozen=True)
class Found:
    """A process, told from later ones with the same id by its birth."""

    pid: int
    birth: str


@dataclass
class KilledRun:
    """`florin up` with kills; it is started again whenever it was itself the victim.

    `done` has the kills that happened, `too_late` those whose moment came after its end. Every other one
    happens, or the run fails.
    """

    data: Path
    book: Path
    chain: str
    kills: list[Kill]
    done: list[Kill] = field(default_factory=list)
    too_late: list[Kill] = field(default_factory=list)
    _is_over: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _country: CountryProcess | None = None
    _has_killed_command: bool = False

    def run(self) -> dict[str, Any]:
        """Runs to the table; its summary. The country is stopped afterwards."""
        with ThreadPoolExecutor(1) as thread:
            killing = thread.submit(self._kill_all)
            try:
                return self._run_to_the_end(killing)
            finally:
                self._is_over.set()

    def _run_to_the_end(self, killing: Future[None]) -> dict[str, Any]:
        while True:
            with self._start() as country:
                try:
                    summary = country.wait_for_table()
                except AssertionError:
                    if not self._has_killed_command:
                        raise
                    continue
                with self._lock:
                    if self._has_killed_command:
                        continue
                    self._is_over.set()
                killing.result()
                assert len(self.done) + len(self.too_late) == len(self.kills)
                self._expect_fate(summary)
                return summary

    def _start(self) -> CountryProcess:
        with self._lock:
            self._has_killed_command = False
            self._country = CountryProcess(self.data, "--chain", self.chain, "--book", self.book)
            return self._country

    def _expect_fate(self, summary: dict[str, Any]) -> None:
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
        for place, kill in enumerate(self.kills):
            if not self._do(kill):
                self.too_late = self.kills[place:]
                return
            self.done.append(kill)

    def _do(self, kill: Kill) -> bool:
        """Kills at the first of its moments at which the victim is there; whether the run lasted so long."""
        absences = 0
        while self._reaches(kill.after) and not self._is_over.wait(kill.delay_s):
            if self._kill(kill.victim):
                return True
            absences += 1
            assert absences < MOST_ABSENCES, f"{kill.victim} was never there to be killed"
            self._is_over.wait(0.1)
        return False

    def _reaches(self, step: str) -> bool:
        """Waits until the present command has done a step; whether it has before the run is over."""
        while True:
            country = self._country
            if country is not None and f"{step}:" in country.messages:
                return True
            if self._is_over.wait(0.05):
                return False

    def _kill(self, victim: str) -> bool:
        """Whether the victim was there and is killed: itself, and no later process with its id."""
        with self._lock:
            found = self._find(victim)
            if found is None or self._is_over.is_set() or process_birth(found.pid) != found.birth:
                return False
            try:
                os.kill(found.pid, signal.SIGKILL)
            except ProcessLookupError:
                return False
            if victim == FLORIN:
                self._has_killed_command, self._country = True, None
            return True

    def _find(self, victim: str) -> Found | None:
        if self._country is None:
            return None
        if victim == FLORIN:
            pid = self._country.process.pid
            return _found(pid, process_birth(pid))
        with contextlib.suppress(FileNotFoundError, ValueError, IndexError, psutil.NoSuchProcess):
            if victim == "postgres":
                cluster = self.data / "postgres" / "cluster"
                pid = int((cluster / "postmaster.pid").read_text().splitlines()[0])
                birth = process_birth(pid)
                return _found(pid, birth) if str(cluster) in psutil.Process(pid).cmdline() else None
            entry = json.loads((self.data / "run" / f"{victim}.json").read_text())
            return _found(entry["pid"], entry["birth"])
        return None


def _found(pid: int, birth: str | None) -> Found | None:
    return None if birth is None else Found(pid, birth)


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
