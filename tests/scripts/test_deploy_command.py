"""`florin deploy` on a chain that gives nobody ether by itself: names who needs some, then deploys once."""

from __future__ import annotations

import re
import threading
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest

from contracts.rpc import Rpc
from scripts.commands import deploy
from scripts.country.chain_launch import genesis_of
from scripts.country.data_directory import AnotherChain, CountryRecord, DataDirectory
from scripts.country.start import choose_chain


def test_unfunded_accounts_are_named_and_with_ether_it_deploys_once(
    chain_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--rpc", chain_url, "--data", str(tmp_path / "data")]
    assert deploy.main(arguments) == 1
    refused = capsys.readouterr().err
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
    assert "ChainUnreachable: nothing answers at http://127.0.0.1:1" in capsys.readouterr().err


def test_what_is_no_node_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler) as website:
        threading.Thread(target=website.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{website.server_port}"
        assert deploy.main(["--rpc", url, "--data", str(tmp_path / "data")]) == 1
    assert "RpcRefused: eth_getBlockByNumber: HTTP 501" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        deploy.main(["--rpc", "127.0.0.1:8545", "--data", str(tmp_path / "data")])


def test_a_country_that_starts_its_own_chain_still_does_after_a_deployment_by_address(
    chain_url: str, tmp_path: Path
) -> None:
    data = DataDirectory(tmp_path / "data")
    data.write_record(CountryRecord(chain="eth-tester", genesis_hash=genesis_of(chain_url)))
    deploy.main(["--rpc", chain_url, "--data", str(data.path)])
    assert data.read_record().chain == "eth-tester"
    assert choose_chain(data, "auto") == "eth-tester"
    with pytest.raises(AnotherChain, match="built on eth-tester, and this is anvil"):
        choose_chain(data, "anvil")
