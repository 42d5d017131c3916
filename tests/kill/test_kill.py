"""kill -9 of any process at any moment of a run: nothing is lost, nothing is paid twice, the books reconcile.

The suite runs one story with a fixed plan. FLORIN_KILL_ROUNDS (`make test-kill`) adds that many with random
plans; FLORIN_KILL_SEED names the first one's seed, to run a failed one again.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.chain.anvil import find_anvil
from scripts.orders.sample_book import SampleSize, write_sample_book
from scripts.supervision.leftovers import write_pid_file
from tests.journeys.country_process import CountryProcess
from tests.kill.story import VICTIMS, Kill, KilledRun, expect_clean_books

ROUNDS = int(os.environ.get("FLORIN_KILL_ROUNDS", "0"))
FIRST_SEED = int(os.environ.get("FLORIN_KILL_SEED", "1"))
LONGEST_DELAY_S = 3.0
"""Less than the confirmations take: no run ends before the first moment of its plan."""
STEPS = ("Institutions", "Deposit accounts", "Billers' wallets", "Wallets ready on chain", "Standing orders")


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("book")
    write_sample_book(directory, SampleSize(customers=20, orders=40), seed=7)
    return directory


def test_a_run_survives_the_death_of_its_worker_its_signer_its_chain_and_its_database(
    book: Path, tmp_path: Path
) -> None:
    plan = [
        Kill("Billers' wallets", 0.5, "bank-b-worker"),
        Kill("Wallets ready on chain", 0.0, "bank-a-api"),
        Kill("Standing orders", 0.3, "bank-a-worker"),
        Kill("Standing orders", 0.7, "postgres"),
        Kill("Standing orders", 2.0, "chain"),
    ]
    story = KilledRun(tmp_path / "data", book, "eth-tester", plan)
    story.run()
    assert story.done == plan
    expect_clean_books(tmp_path / "data")


@pytest.mark.skipif(ROUNDS == 0, reason="FLORIN_KILL_ROUNDS is not set: `make test-kill` sets it")
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + max(ROUNDS, 1)))
def test_a_run_survives_random_deaths(seed: int, book: Path, tmp_path: Path) -> None:
    chance = random.Random(seed)
    plan = sorted(
        (
            Kill(chance.choice(STEPS), chance.uniform(0.0, LONGEST_DELAY_S), chance.choice(VICTIMS))
            for _ in range(chance.randint(1, 4))
        ),
        key=lambda kill: STEPS.index(kill.after),
    )
    chain = "anvil" if seed % 2 == 0 and find_anvil() is not None else "eth-tester"
    story = KilledRun(tmp_path / "data", book, chain, plan)
    story.run()
    print(f"seed {seed} on {chain}: killed {'; '.join(map(str, story.done))}")
    if story.too_late:
        print(f"seed {seed}: ended before {'; '.join(map(str, story.too_late))}")
    assert story.done, "somebody is killed in every run"
    expect_clean_books(tmp_path / "data")


def test_a_stranger_that_has_a_victims_old_id_is_not_killed(book: Path, tmp_path: Path) -> None:
    story = KilledRun(tmp_path, book, "eth-tester", [])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        story._country = CountryProcess.__new__(CountryProcess)
        (tmp_path / "run").mkdir()
        (tmp_path / "postgres" / "cluster").mkdir(parents=True)
        (tmp_path / "run" / "chain.json").write_text(f'{{"pid": {stranger.pid}, "birth": "another 1"}}')
        (tmp_path / "postgres" / "cluster" / "postmaster.pid").write_text(f"{stranger.pid}\n")
        assert not any(story._kill(victim) for victim in ("chain", "postgres", "bank-a-api"))
        assert stranger.poll() is None
        write_pid_file(tmp_path / "run" / "chain.json", stranger.pid)
        assert story._kill("chain")
        assert stranger.wait(10) == -signal.SIGKILL
        assert not story._kill("chain"), "it is gone"
