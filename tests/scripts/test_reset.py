"""`make reset` forgets a data directory, and only that."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.commands import reset
from scripts.postgres import server as postgres
from scripts.supervision.leftovers import write_pid_file
from scripts.supervision.processes import Supervisor


def test_it_stops_what_a_killed_run_left_and_removes_the_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(postgres.EXTERNAL_URL_VARIABLE, raising=False)
    data = tmp_path / "data"
    server = postgres.start(data / "postgres", {"shared_buffers": "16MB"})
    (data / "run").mkdir()
    leftover = subprocess.Popen(
        [sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE, process_group=0
    )
    write_pid_file(data / "run" / "leftover.json", leftover.pid)
    assert reset.main(["--data", str(data)]) == 0
    assert not data.exists()
    assert not server.is_alive()
    assert leftover.wait(10) != 0


def test_it_refuses_while_a_run_holds_the_directory(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Supervisor(tmp_path / "data"):
        assert reset.main(["--data", str(tmp_path / "data")]) == 1
    assert "stop it first" in capsys.readouterr().err
    assert (tmp_path / "data").exists()


def test_it_leaves_alone_what_is_not_a_data_directory(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    assert reset.main(["--data", str(tmp_path)]) == 1
    assert (tmp_path / "thesis.txt").exists()
    assert reset.main(["--data", str(tmp_path / "nothing")]) == 0
