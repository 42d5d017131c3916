"""Supervised processes: ready, revived, ended with their starter; and nothing else touched."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from scripts.supervision.leftovers import AlreadyRunning, process_birth, stop_leftovers, write_pid_file
from scripts.supervision.processes import (
    AlreadyStopped,
    Child,
    ChildFailed,
    ChildSpec,
    NotReady,
    Service,
    Supervisor,
)

WAIT = "print('here', flush=True); time.sleep(600)"


def python(*lines: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", "\n".join(["import signal, sys, time", *lines]))


SLEEPER = python(WAIT)
STUBBORN = python("signal.signal(signal.SIGTERM, signal.SIG_IGN)", WAIT)
SAYS_WHEN_IT_ENDS = python("signal.signal(signal.SIGTERM, lambda *_: sys.exit(print(time.time_ns())))", WAIT)
BROKEN = python("sys.exit('no such setting: florins')")


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    with Supervisor(tmp_path / "data", max_restarts=3) as supervisor:
        yield supervisor


def spec(tmp_path: Path, name: str, command: tuple[str, ...] = SLEEPER, **fields: object) -> ChildSpec:
    """A child that is ready once it has written to its log."""
    log = tmp_path / "data" / "logs" / f"{name}.log"
    return ChildSpec(name, command, ready=lambda: "here" in log.read_text(), **fields)  # type: ignore[arg-type]


def eventually(look: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not look():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def is_gone(pid: int) -> bool:
    return process_birth(pid) is None


def test_a_child_is_waited_for_and_ended_on_leaving(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "data") as supervisor:
        child = supervisor.start(spec(tmp_path, "one"))
        supervisor.wait_ready(child)
        assert child.is_running
        pid = child.pid
        assert os.getpgid(pid) == pid, "Ctrl-C in the terminal reaches only the starter"
    assert is_gone(pid)
    assert list((tmp_path / "data" / "run").glob("*.json")) == []


def test_a_killed_child_is_started_again_and_counted(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.start(spec(tmp_path, "one"))
    supervisor.wait_ready(child)
    first = child.pid
    os.kill(first, signal.SIGKILL)
    eventually(lambda: child.pid != first and child.is_running)
    assert supervisor.restarts == {"one": 1}
    assert "ended with status -9; starting it again" in child.log_path.read_text()
    supervisor.check()


def test_a_child_that_dies_before_it_was_ready_is_given_up_soon_with_its_last_words(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    child = supervisor.start(spec(tmp_path, "broken", BROKEN))
    with pytest.raises(ChildFailed, match=r"(?s)broken ended.*no such setting: florins"):
        supervisor.wait_ready(child, timeout_s=30)
    assert child.restarts == 1


def test_a_child_that_keeps_dying_is_given_up(supervisor: Supervisor, tmp_path: Path) -> None:
    child = supervisor.start(spec(tmp_path, "frail"))
    supervisor.wait_ready(child)

    def kill_again() -> bool:
        if child.is_running:
            os.kill(child.pid, signal.SIGKILL)
        return child.failure is not None

    eventually(kill_again)
    assert child.restarts == 3
    with pytest.raises(ChildFailed, match="frail ended"):
        supervisor.check()


def test_a_child_that_is_never_ready_is_named_with_the_end_of_its_log(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    child = supervisor.start(ChildSpec("slow", SLEEPER, ready=lambda: False))
    eventually(lambda: "here" in child.log_path.read_text())
    with pytest.raises(NotReady, match=r"(?s)slow was not ready.*here"):
        supervisor.wait_ready(child, timeout_s=0.2)


def test_a_child_that_ignores_the_request_to_end_is_killed(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "data") as supervisor:
        child = supervisor.start(spec(tmp_path, "stubborn", STUBBORN, stop_timeout_s=0.2))
        supervisor.wait_ready(child)
    assert is_gone(child.pid)


def test_foundations_end_after_what_stands_on_them_and_services_last(tmp_path: Path) -> None:
    children: dict[str, Child] = {}
    seen: list[tuple[str, list[bool]]] = []

    def stop() -> None:
        seen.append(("service", [child.is_running for child in children.values()]))

    with Supervisor(tmp_path / "data") as supervisor:
        supervisor.watch(Service("service", lambda: True, lambda: None, stop))
        for name, is_foundation in (("chain", True), ("worker", False), ("api", False)):
            children[name] = supervisor.start(
                spec(tmp_path, name, SAYS_WHEN_IT_ENDS, is_foundation=is_foundation)
            )
        supervisor.wait_ready(*children.values())
    ended_at = {name: int(child.log_path.read_text().split()[-1]) for name, child in children.items()}
    assert ended_at["chain"] > max(ended_at["worker"], ended_at["api"])
    assert seen == [("service", [False, False, False])]


def test_a_service_that_does_not_stop_keeps_nothing_else_from_being_stopped(tmp_path: Path) -> None:
    stopped = []

    def refuse() -> None:
        raise OSError("the disk is full")

    supervisor = Supervisor(tmp_path / "data")
    with supervisor:
        for name, stop in (
            ("ports", lambda: stopped.append("ports")),
            ("database", refuse),
            ("mail", lambda: stopped.append("mail")),
        ):
            supervisor.watch(Service(name, lambda: True, lambda: None, stop))
        child = supervisor.start(spec(tmp_path, "one"))
        with pytest.raises(OSError, match="the disk is full"):
            supervisor.stop()
    assert stopped == ["mail", "ports"]
    assert is_gone(child.pid)
    with Supervisor(tmp_path / "data"):
        pass  # the directory is free again


def test_a_service_that_died_is_revived(supervisor: Supervisor) -> None:
    lives = [False]
    supervisor.watch(Service("database", lambda: lives[-1], lambda: lives.append(True), lambda: None))
    eventually(lambda: lives[-1])
    assert supervisor.restarts == {"database": 1}


def test_what_comes_after_the_end_is_stopped_at_once_and_no_child_is_started(tmp_path: Path) -> None:
    with Supervisor(tmp_path / "data") as left:
        pass
    stopped: list[str] = []
    with pytest.raises(AlreadyStopped):
        left.watch(Service("database", lambda: True, lambda: None, lambda: stopped.append("database")))
    assert stopped == ["database"]
    with pytest.raises(AlreadyStopped):
        left.start(spec(tmp_path, "late"))
    assert not (tmp_path / "data" / "logs" / "late.log").exists()


def test_a_service_that_comes_while_everything_ends_is_stopped_once(tmp_path: Path) -> None:
    stopped: list[int] = []
    refused: list[int] = []

    def come(supervisor: Supervisor) -> None:
        for number in range(10_000):
            stop = partial(stopped.append, number)
            try:
                supervisor.watch(Service(str(number), lambda: True, lambda: None, stop))
            except AlreadyStopped:
                refused.append(number)
                return

    for turn in range(10):
        stopped.clear()
        refused.clear()
        with Supervisor(tmp_path / str(turn)) as supervisor:
            comer = threading.Thread(target=come, args=(supervisor,))
            comer.start()
        comer.join(10)
        assert not comer.is_alive(), "nobody answered it"
        assert sorted(stopped) == list(range(len(stopped)))
        assert len(refused) == 1


def test_two_runs_do_not_share_a_data_directory(supervisor: Supervisor, tmp_path: Path) -> None:
    with pytest.raises(AlreadyRunning, match="stop it first"), Supervisor(tmp_path / "data"):
        pytest.fail("the directory is held")


STARTER = textwrap.dedent("""
    import signal, sys, time
    from pathlib import Path
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background ignores it
    from scripts.supervision.processes import ChildSpec, Supervisor
    sleeper = (sys.executable, "-S", "-c", "import time; time.sleep(600)")
    with Supervisor(Path(sys.argv[1])) as supervisor:
        pids = [supervisor.start(ChildSpec(name, sleeper)).pid for name in ("one", "other")]
        print(*pids, flush=True)
        while True:
            time.sleep(1)
""")


UNLUCKY = textwrap.dedent("""
    import signal, sys, time
    from pathlib import Path
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from scripts.supervision.processes import Supervisor

    class Deleted:
        def __del__(self):
            print("deleting", flush=True)
            time.sleep(600)

    with Supervisor(Path(sys.argv[1])) as supervisor:
        Deleted()
        print("the exception was dropped", flush=True)
        supervisor.check()
        print("and so was the wish to leave", flush=True)
""")


@pytest.mark.parametrize(("name", "status"), [("SIGINT", -signal.SIGINT), ("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_is_heard_also_while_python_deletes_an_object(
    tmp_path: Path, name: str, status: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", UNLUCKY, str(tmp_path / "data")],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    ) as unlucky:  # fmt: skip
        assert unlucky.stdout is not None
        assert unlucky.stdout.readline() == "deleting\n"
        unlucky.send_signal(signal.Signals[name])
        assert unlucky.stdout.read() == "the exception was dropped\n"
        assert unlucky.wait(30) == status


@pytest.fixture
def run(tmp_path: Path) -> Iterator[tuple["subprocess.Popen[str]", list[int]]]:
    """A starter of its own, and the ids of its two children."""
    command = [sys.executable, "-c", STARTER, str(tmp_path / "data")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as starter:
        assert starter.stdout is not None
        yield starter, [int(word) for word in starter.stdout.readline().split()]
        starter.kill()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_children_end_with_their_starter(run: tuple["subprocess.Popen[str]", list[int]], name: str) -> None:
    starter, pids = run
    assert not any(is_gone(pid) for pid in pids)
    starter.send_signal(signal.Signals[name])
    assert starter.wait(20) != 0
    eventually(lambda: all(is_gone(pid) for pid in pids))


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next run ends them")
def test_leftovers_are_ended_and_strangers_with_a_recorded_id_are_not(tmp_path: Path) -> None:
    leftover = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL, start_new_session=True)
    stranger = subprocess.Popen(SLEEPER, stdout=subprocess.DEVNULL, start_new_session=True)
    try:
        write_pid_file(tmp_path / "leftover.json", leftover.pid)
        other_birth = json.dumps({"pid": stranger.pid, "birth": "another boot 12345"})
        (tmp_path / "stranger.json").write_text(other_birth)
        (tmp_path / "unfinished.json").write_text('{"pid": ')
        assert stop_leftovers(tmp_path) == ["leftover"]
        assert leftover.wait(10) == -signal.SIGTERM
        assert stranger.poll() is None
        assert list(tmp_path.iterdir()) == []
    finally:
        for process in (leftover, stranger):
            process.kill()
            process.wait()
