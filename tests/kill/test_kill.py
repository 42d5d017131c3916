"""kill -9 of any process at any moment of a run: nothing is lost, nothing is paid twice, the books reconcile.

The suite runs one story with a fixed plan. FLORIN_KILL_ROUNDS (`make test-kill`) adds that many with random
plans; FLORIN_KILL_SEED names the first one's seed, to run a failed one again.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from scripts.chain.anvil import find_anvil
from scripts.orders.sample_book import SampleSize, write_sample_book
from tests.kill.story import VICTIMS, Kill, KilledRun, expect_clean_books

ROUNDS = int(os.environ.get("FLORIN_KILL_ROUNDS", "0"))
FIRST_SEED = int(os.environ.get("FLORIN_KILL_SEED", "1"))
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
    assert len(story.done) == len(plan)
    expect_clean_books(tmp_path / "data")


@pytest.mark.skipif(ROUNDS == 0, reason="FLORIN_KILL_ROUNDS is not set: `make test-kill` sets it")
@pytest.mark.parametrize("seed", range(FIRST_SEED, FIRST_SEED + max(ROUNDS, 1)))
def test_a_run_survives_random_deaths(seed: int, book: Path, tmp_path: Path) -> None:
    chance = random.Random(seed)
    plan = sorted(
        (
            Kill(chance.choice(STEPS), chance.uniform(0.0, 5.0), chance.choice(VICTIMS))
            for _ in range(chance.randint(1, 4))
        ),
        key=lambda kill: STEPS.index(kill.after),
    )
    chain = "anvil" if seed % 2 == 0 and find_anvil() is not None else "eth-tester"
    story = KilledRun(tmp_path / "data", book, chain, plan)
    story.run()
    print(f"seed {seed} on {chain}: killed {'; '.join(story.done) or 'nobody in time'}")
    expect_clean_books(tmp_path / "data")
