"""What is committed and what the checks of it say."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from eth_hash.auto import keccak

from contracts import abi
from contracts.compile import check
from contracts.gas import SNAPSHOT, compare

# A payment in a batch of 500: as the contract charges it, and as the relay sends it, with an access list.
GAS_BAR, LISTED_GAS_BAR = 17_500, 17_300


def test_the_artifacts_name_no_machine_path() -> None:
    for path in Path(abi.__file__).parent.joinpath("artifacts").glob("*.json"):
        text = path.read_text()
        assert not any(word in text for word in ("/home", "/root", "/work", "/tmp", "node_modules"))


@pytest.mark.parametrize("emits_transfers", [True, False])
def test_the_deployed_code_is_the_artifact(emits_transfers: bool) -> None:
    """But for its own address, that of its other half and the hash of the name, which are written into it."""
    from tests.contracts.world import NAME, World

    world = World(emits_transfers=emits_transfers)
    artifact = abi.load_artifact("DigitalCurrency" if emits_transfers else "DigitalCurrencyWithBatchEvents")
    code = bytearray(world.evm.read_code(world.implementation))
    written = set()
    for offset in artifact["immutableOffsets"]:
        written.add(bytes(code[offset : offset + 32]))
        code[offset : offset + 32] = bytes(32)
    halves = {bytes(12) + world.implementation, bytes(12) + world.administration}
    assert written == {*halves, keccak(NAME.encode())}
    assert code.hex() == artifact["deployedBytecode"][2:]
    administration = world.evm.read_code(world.administration)
    assert administration.hex() == abi.load_artifact("Administration")["deployedBytecode"][2:]


def test_a_changed_missing_or_stray_artifact_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("contracts.compile.ARTIFACTS", tmp_path)
    built = {"A": "{}\n", "B": "{}\n"}
    assert check(built) == ["A.json", "B.json"]
    (tmp_path / "A.json").write_text("{}\n")
    (tmp_path / "B.json").write_text("{ }\n")
    (tmp_path / "C.json").write_text("{}\n")
    assert check(built) == ["B.json", "C.json"]


def test_without_node_the_check_says_so_and_passes(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path)}
    command = [sys.executable, "-m", "contracts.compile"]
    run = subprocess.run([*command, "--check"], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0
    assert "Node is not installed" in run.stdout
    assert subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 1


def test_a_payment_in_a_batch_of_500_is_below_the_bar() -> None:
    snapshot = json.loads(SNAPSHOT.read_text())
    assert snapshot["settle_per_payment_at_500"] <= LISTED_GAS_BAR
    assert snapshot["settle_500"] / 500 <= GAS_BAR


def test_what_costs_more_is_unknown_or_is_gone_fails_and_what_costs_less_is_told() -> None:
    dearer, cheaper = compare({"a": 11, "b": 9, "c": 10, "new": 1}, {"a": 10, "b": 10, "c": 10, "old": 5})
    assert dearer == ["a: 10 -> 11", "new: None -> 1", "old: 5 -> not measured"]
    assert cheaper == ["b: 10 -> 9"]
