"""What every test may use: one PostgreSQL for the whole run, and one chain for each of its processes.

The processes of a run (pytest-xdist's workers) take files from one list; the longest are first in it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from scripts.postgres.cluster import Cluster
from scripts.postgres.server import Server, start

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN_DIRECTORY = "FLORIN_TEST_RUN_DIRECTORY"
"""Where the processes of one run (pytest-xdist's workers) find what they share; the first one makes it."""

BYTECODE = "bytecode"
"""Where, in that directory, what the run's processes compile of Python is kept."""

LONGEST = (
    "tests/journeys/test_book_journey.py",
    "tests/scripts/test_chain_durability.py",
    "tests/scripts/test_chain_server.py",
    "tests/contracts/test_deploy.py",
    "tests/contracts/test_notary.py",
    "tests/contracts/test_invariants.py",
    "tests/contracts/test_settlement_history.py",
    "tests/contracts/test_settlement_gridlock.py",
    "tests/contracts/test_forms_agree.py",
    "tests/contracts/test_mutation.py",
    "tests/contracts/test_gas.py",
    "tests/wallet_node/test_node_crashes.py",
    "tests/wallet_node/test_stolen_bank.py",
    "tests/scripts/test_container_setup.py",
    "tests/api/chain/test_worker_process.py",
    "tests/api/chain/test_access_lists.py",
    "tests/contracts/test_paths_agree.py",
    "tests/kill/test_kill.py",
    "tests/journeys/test_interruptions.py",
)
"""Files of few tests that take long. Left to the end, one of them is what all other processes wait for.

Kills and interruptions come last of them: like the book's journey they start a whole country, and two at once
are slow.
"""

FAILED = pytest.StashKey[bool]()

NOT_DURABLE = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB"}
"""Test databases need not survive the machine's own crash; a killed process loses nothing by this."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """The first process of a run makes the shared directory; workers inherit it.

    Temporary directories are in it too: each start of pytest closes its usual one, pytest-of-USER, to others,
    and PostgreSQL is one when we are root.
    """
    config.option.loadscopereorder = False  # by pytest_collection_modifyitems instead
    if not hasattr(config, "workerinput"):
        os.environ[RUN_DIRECTORY] = tempfile.mkdtemp(prefix="florin-test-")
        if sys.dont_write_bytecode:
            # else hundreds of processes compile every module anew; nothing is written beside the sources
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
            os.environ.setdefault("PYTHONPYCACHEPREFIX", str(Path(os.environ[RUN_DIRECTORY]) / BYTECODE))
        if config.option.basetemp is None:
            config.option.basetemp = Path(os.environ[RUN_DIRECTORY]) / "tmp"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """For a run of several processes: the longest files first, then those of the most tests."""
    if not hasattr(config, "workerinput"):
        return
    files = Counter(item.nodeid.partition("::")[0] for item in items)

    def place(item: pytest.Item) -> tuple[int, int]:
        name = item.nodeid.partition("::")[0]
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), -files[name]

    items.sort(key=place)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Logs and databases of a run that failed are kept to be looked at."""
    session.config.stash[FAILED] = exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


def pytest_unconfigure(config: pytest.Config) -> None:
    """The first process of a run stops what was shared."""
    if not hasattr(config, "workerinput"):
        directory = Path(os.environ.pop(RUN_DIRECTORY))
        if (directory / "postgres" / "cluster").exists():
            Cluster(directory / "postgres").stop()
        shutil.rmtree(directory / BYTECODE, ignore_errors=True)
        if config.stash.get(FAILED, False):
            print(f"\nkept: {directory}")
        else:
            shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgres() -> Server:
    """The run's server, or the one that FLORIN_DATABASE_URL names."""
    return start(Path(os.environ[RUN_DIRECTORY]) / "postgres", NOT_DURABLE)


@pytest.fixture(scope="session")
def chain_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A development chain of this process's own; anvil_setBalance gives ether to whom a test needs."""
    command = [sys.executable, "-m", "scripts.chain.server", "--port", "0", "--data"]
    command.append(str(tmp_path_factory.mktemp("chain")))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().split()[2].rstrip(",")
        process.terminate()
