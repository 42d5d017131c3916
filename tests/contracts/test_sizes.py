"""No contract is published that a chain would refuse for its size."""

import json
from pathlib import Path

from contracts.compile import PUBLISHED
from contracts.sizes import CODE_SIZE_LIMIT, CREATION_SIZE_LIMIT, find_oversized, measure


def test_every_published_artifact_is_measured_and_fits() -> None:
    sizes = measure()
    assert set(PUBLISHED) <= set(sizes)
    assert all(deployed > 0 for deployed, _ in sizes.values())
    assert find_oversized(sizes) == []


def test_the_limits_themselves_are_allowed_and_a_byte_more_is_not() -> None:
    fitting = {"Fits": (CODE_SIZE_LIMIT, CREATION_SIZE_LIMIT)}
    assert find_oversized(fitting) == []
    assert find_oversized({**fitting, "Deployed": (CODE_SIZE_LIMIT + 1, 1)}) == ["Deployed"]
    assert find_oversized({**fitting, "Creation": (1, CREATION_SIZE_LIMIT + 1)}) == ["Creation"]


def test_bytes_are_counted_not_digits(tmp_path: Path) -> None:
    artifact = {"contractName": "A", "deployedBytecode": "0x6000", "bytecode": "0x600060"}
    (tmp_path / "A.json").write_text(json.dumps(artifact))
    assert measure(tmp_path) == {"A": (2, 3)}
