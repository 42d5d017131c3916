"""`florin deploy` on a chain that gives nobody ether by itself: names who needs some, then deploys once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from contracts.rpc import Rpc
from scripts.commands import deploy


def test_unfunded_accounts_are_named_and_with_ether_it_deploys_once(
    chain_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--rpc", chain_url, "--data", str(tmp_path / "data")]
    assert deploy.main(arguments) == 1
    refused = capsys.readouterr().out
    assert "Unfunded" in refused
    addresses = re.findall(r"0x[0-9a-fA-F]{40}", refused)
    assert len(set(addresses)) == 7, "a deployer, four roles and two banks"
    rpc = Rpc(chain_url)
    for address in addresses:
        rpc.call("anvil_setBalance", address, hex(10**18))
    assert deploy.main(arguments) == 0
    deployed = capsys.readouterr().out
    assert deploy.main(arguments) == 0
    assert capsys.readouterr().out == deployed
    proxy = re.search(r"is at (0x[0-9a-fA-F]{40})", deployed)
    assert proxy is not None
    assert rpc.call("eth_getCode", proxy[1], "latest") != "0x"


def test_a_chain_that_does_not_answer_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert deploy.main(["--rpc", "http://127.0.0.1:1", "--data", str(tmp_path / "data")]) == 1
    assert "refused" in capsys.readouterr().out
