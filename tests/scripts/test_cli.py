"""The `florin` command: lean, and each subcommand on its own feet."""

import importlib
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from scripts.cli import COMMANDS, app


def test_help_names_every_command() -> None:
    answer = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"})
    assert answer.exit_code == 0
    assert all(name in answer.output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_module(name: str) -> None:
    assert callable(importlib.import_module(COMMANDS[name][0]).main)


def test_a_commands_options_are_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    answer = CliRunner().invoke(app, ["chain", "--help"])
    assert answer.exit_code == 0
    assert "--block-time" in answer.output + capsys.readouterr().out
    assert CliRunner().invoke(app, ["chain", "--no-such-option"]).exit_code == 2


def test_asking_for_help_loads_no_chain() -> None:
    heavy = ("web3", "eth", "aiohttp", "asyncpg")
    code = f"import sys, scripts.cli; sys.exit(any(name in sys.modules for name in {heavy}))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
