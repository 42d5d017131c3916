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

from scripts.country.data_directory import CountryRecord, DataDirectory
from scripts.country.institutions import PAYING_BANK
from scripts.orders.sample_book import SampleSize, write_sample_book
from scripts.supervision.readiness import LOOPBACK
from tests.journeys.country_process import CountryProcess, florin

STAGES = ("Book", "Keys", "Standing orders")
PATIENCE_S = 120


@contextlib.contextmanager
def wish_for_a_taken_port(data: Path) -> Iterator[int]:
    """A stranger listens where the paying bank would like to."""
    with socket.socket() as stranger:
        stranger.bind((LOOPBACK, 0))
        stranger.listen()
        port = stranger.getsockname()[1]
        DataDirectory(data).write_record(CountryRecord(ports={PAYING_BANK.slug: port}))
        yield port


def wait_for(country: CountryProcess, step: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while f"{step}:" not in country.messages:
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
    with wish_for_a_taken_port(data) as taken:
        for stage in STAGES:
            with CountryProcess(data, "--chain", "eth-tester", "--book", book) as country:
                wait_for(country, stage)
                assert country.stop() == 130, country.messages
                _, alive = psutil.wait_procs(processes_of(data), timeout=5)
                assert not alive, f"after {stage}: {[process.cmdline() for process in alive]}"
                assert "Stopped everything" in country.messages
    remembered = DataDirectory(data).read_record().ports
    assert remembered[PAYING_BANK.slug] != taken
    finished = florin("up", "--once", "--json", "--data", data)
    assert finished.status == 0, finished.errors
    assert finished.summary["payments_final"] == 12
    assert finished.summary["difference_minor"] == 0
    for slug, address in finished.summary["addresses"].items():
        assert address.endswith(f":{remembered[slug]}")
