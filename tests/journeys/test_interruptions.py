"""Ctrl-C at any stage of `florin up`: all that it started ends, nothing else does, and the next one goes on.

an interruption
├── before anything serves, while services start, or in the middle of the import
│   └── ends every process of that country within seconds, and says so
└── followed by the same command: the run ends as if nothing had happened, at the same addresses
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from scripts.country.data_directory import DataDirectory
from scripts.country.institutions import PAYING_BANK
from scripts.orders.sample_book import SampleSize, write_sample_book
from scripts.supervision.readiness import LOOPBACK
from tests.journeys.country_process import CountryProcess, florin

STAGES = ("Book", "Keys", "Standing orders")
PATIENCE_S = 120


@contextlib.contextmanager
def port_taken(port: int) -> Iterator[None]:
    """A stranger listens there; where one does already, that one will do."""
    with socket.socket() as stranger:
        with contextlib.suppress(OSError):
            stranger.bind((LOOPBACK, port))
            stranger.listen()
        yield


def wait_for(country: CountryProcess, step: str, before: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while f"{step}:" not in country.messages[before:]:
        assert country.process.poll() is None, country.messages
        assert time.monotonic() < deadline, f"{step} was not reached:\n{country.messages}"
        time.sleep(0.05)


def processes_of(data: Path) -> list[psutil.Process]:
    """Every process of this machine whose command line names the directory."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(data) in argument for argument in process.info["cmdline"] or ())
    ]


def test_ctrl_c_at_any_stage_ends_everything_and_the_next_run_goes_on(tmp_path: Path) -> None:
    book, data = tmp_path / "book", tmp_path / "data"
    write_sample_book(book, SampleSize(customers=10, orders=12), seed=3)
    with port_taken(PAYING_BANK.port):
        for stage in STAGES:
            before = len(data.with_suffix(".log").read_text()) if data.with_suffix(".log").exists() else 0
            with CountryProcess(data, "--chain", "eth-tester", "--book", book) as country:
                wait_for(country, stage, before)
                assert country.stop() == 130, country.messages
                _, alive = psutil.wait_procs(processes_of(data), timeout=5)
                assert not alive, f"after {stage}: {[process.cmdline() for process in alive]}"
                assert "Stopped everything" in country.messages[before:]
    remembered = DataDirectory(data).read_record().ports
    assert remembered[PAYING_BANK.slug] != PAYING_BANK.port
    finished = florin("up", "--once", "--json", "--data", data)
    assert finished.status == 0, finished.errors
    assert finished.summary["payments_final"] == 12
    assert finished.summary["difference_minor"] == 0
    for slug, address in finished.summary["addresses"].items():
        assert address.endswith(f":{remembered[slug]}")
