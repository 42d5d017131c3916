"""A bound home for every test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from customer_desk import Desk
from node_builders import Home


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    made = Home(path).bind()
    yield made
    made.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()
