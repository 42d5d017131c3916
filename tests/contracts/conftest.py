"""One deployed world for the whole run; every test starts from its snapshot."""

from collections.abc import Iterator

import pytest

from contracts.local_evm import Snapshot
from tests.contracts.settlement_world import SettlementWorld
from tests.contracts.world import World


@pytest.fixture(scope="session")
def built() -> tuple[World, Snapshot]:
    """The world as it was built, and how to come back to it."""
    world = World()
    return world, world.evm.snapshot()


@pytest.fixture
def world(built: tuple[World, Snapshot]) -> Iterator[World]:
    """A fresh world: nothing that another test did."""
    world, snapshot = built
    world.evm.revert(snapshot)
    yield world
    world.evm.revert(snapshot)


@pytest.fixture(scope="session")
def built_banks() -> tuple[SettlementWorld, Snapshot]:
    """Five banks and their settlement as they were built, and how to come back to that."""
    banks = SettlementWorld()
    return banks, banks.evm.snapshot()


@pytest.fixture
def banks(built_banks: tuple[SettlementWorld, Snapshot]) -> Iterator[SettlementWorld]:
    """Fresh banks: nothing that another test did."""
    banks, snapshot = built_banks
    banks.evm.revert(snapshot)
    yield banks
    banks.evm.revert(snapshot)
