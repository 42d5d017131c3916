"""Starting, watching and stopping the processes of a run.

A child gets a process group of its own (so that Ctrl-C reaches only the starter, which then stops its
children in order), dies when the starter is killed, is started again when it dies by itself, and writes to a
log file. Its pid file lets the next run find what a killed run left behind.
"""

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.supervision.leftovers import hold_lock, kill_group, stop_leftovers, write_pid_file
from scripts.supervision.readiness import log_tail

WATCH_INTERVAL_S = 0.1
READY_INTERVAL_S = 0.05
RESTART_PAUSE_S = 0.2
RESTARTS_BEFORE_READY = 1
LOG_BYTES = 20 * 1024 * 1024

# Runs in the child before the command: ask the kernel to end it with its parent, unless that is gone already.
# PR_SET_PDEATHSIG goes by the death of the *thread* that forked, so only the watching thread starts children.
_TIED_TO_PARENT = """
import ctypes, os, sys
parent, death_signal = int(sys.argv[1]), int(sys.argv[2])
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, death_signal, 0, 0, 0)
if os.getppid() != parent:
    sys.exit("the process that started this one is gone")
os.execvp(sys.argv[3], sys.argv[3:])
"""


class ProcessError(Exception):
    """Something about a supervised process, with the end of its log."""


class NotReady(ProcessError):
    """A child ended or stayed silent before it was ready."""


class ChildFailed(ProcessError):
    """A child died more often than is reasonable."""


@dataclass(frozen=True)
class ChildSpec:
    """How to run one child. `ready` says whether it serves; foundations stop after everything else."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: Callable[[], bool] | None = None
    is_foundation: bool = False
    death_signal: int = signal.SIGKILL
    stop_timeout_s: float = 10.0


@dataclass(frozen=True)
class Service:
    """Something that is not a child (PostgreSQL) but is watched, revived and stopped with them."""

    name: str
    is_alive: Callable[[], bool]
    revive: Callable[[], object]
    stop: Callable[[], object]


class Child:
    """A started child; the supervisor replaces its process when it dies."""

    def __init__(self, spec: ChildSpec, log_path: Path, process: "subprocess.Popen[bytes]") -> None:
        self.spec = spec
        self.log_path = log_path
        self.restarts = 0
        self.failure: str | None = None
        self.was_ready = spec.ready is None
        self.process = process

    @property
    def name(self) -> str:
        """The name it was started under."""
        return self.spec.name

    @property
    def pid(self) -> int:
        """The present process's id."""
        return self.process.pid

    @property
    def is_running(self) -> bool:
        """Whether the present process lives."""
        return self.process.returncode is None and self.process.poll() is None

    def is_ready(self) -> bool:
        """Whether it lives and says that it is ready."""
        is_ready = self.is_running and (self.spec.ready is None or self.spec.ready())
        self.was_ready = self.was_ready or is_ready
        return is_ready


class AlreadyStopped(ProcessError):
    """The supervisor was left, so nobody would look after what is started now."""


class Supervisor:
    """Everything that one run started. Use it as a context manager: leaving it stops all of it.

    Of the data directory it uses `logs/`, `run/` (pid files) and the lock file `run/lock`.
    """

    def __init__(self, data_dir: Path, max_restarts: int = 5, within_s: float = 60.0) -> None:
        self._log_dir = data_dir / "logs"
        self._run_dir = data_dir / "run"
        self._max_restarts = max_restarts
        self._within_s = within_s
        self._children: list[Child] = []
        self._services: list[Service] = []
        self._deaths: dict[str, deque[float]] = {}
        self._due: dict[str, float] = {}
        self._requests: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]]] = queue.SimpleQueue()
        self._hurry = threading.Event()
        self._former_handlers: dict[signal.Signals, Any] = {}
        self._is_stopped = False
        self._leaves_with: BaseException | None = None
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._lock_file: int | None = None

    # life

    def __enter__(self) -> "Supervisor":
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._run_dir.mkdir(parents=True, exist_ok=True)
        self._lock_file = hold_lock(self._run_dir)
        stop_leftovers(self._run_dir)
        if threading.current_thread() is threading.main_thread():
            for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                if signal.getsignal(name) != signal.SIG_IGN:  # nohup means it
                    self._former_handlers[name] = signal.signal(name, self._leave)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            for name, handler in self._former_handlers.items():
                signal.signal(name, handler)

    def start(self, spec: ChildSpec) -> Child:
        """Start a child and return at once; `wait_ready` waits for it."""
        child: Child = self._ask(lambda: self._start(spec))
        return child

    def watch(self, service: Service) -> None:
        """Revive a service when it dies, and stop it at the end: now, with AlreadyStopped, where that was."""
        try:
            self._ask(lambda: self._services.append(service))
        except AlreadyStopped:
            # Ctrl-C in the moment in which the thread that started it began: nobody waited for that thread
            service.stop()
            raise

    def wait_ready(self, *children: Child, timeout_s: float = 60.0) -> None:
        """Wait until all are ready; NotReady names the first that is not and shows its log."""
        deadline = time.monotonic() + timeout_s
        waiting = list(children)
        while waiting:
            waiting = [child for child in waiting if not child.is_ready()]
            self.check()
            if waiting and time.monotonic() > deadline:
                child = waiting[0]
                raise NotReady(
                    f"{child.name} was not ready after {timeout_s:.0f} s\n{log_tail(child.log_path)}"
                )
            if waiting:
                time.sleep(READY_INTERVAL_S)

    def check(self) -> None:
        """Raise ChildFailed if a child is beyond help, or what a signal to leave raises."""
        if self._leaves_with is not None:
            raise self._leaves_with
        for child in self._children:
            if child.failure is not None:
                raise ChildFailed(f"{child.failure}\n{log_tail(child.log_path)}")

    @property
    def restarts(self) -> dict[str, int]:
        """How often each child and service had to be started again."""
        return {name: len(deaths) for name, deaths in self._deaths.items()}

    def stop(self) -> None:
        """Stop all children and services, foundations last. A second Ctrl-C kills what is left.

        What fails to stop keeps nothing else from being stopped; the first failure is raised at the end.
        """
        if self._is_stopped or not self._thread.is_alive():
            self._release()
            return
        request: Future[Any] = Future()
        self._requests.put((self._stop_all, request))
        try:
            while not request.done():
                try:
                    request.exception()
                except KeyboardInterrupt:
                    self._hurry.set()
            self._thread.join()
        finally:
            self._release()
        request.result()

    def _leave(self, signal_number: int, _: object) -> None:
        """Leave, now or at the next `check`: Python drops what is raised while it deletes an object."""
        is_ctrl_c = signal_number == signal.SIGINT
        self._leaves_with = KeyboardInterrupt() if is_ctrl_c else SystemExit(128 + signal_number)
        raise self._leaves_with

    def _release(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    # the watching thread

    def _ask(self, work: Callable[[], Any]) -> Any:
        request: Future[Any] = Future()
        self._requests.put((work, request))
        while self._thread.is_alive() and not request.done():
            wait([request], timeout=WATCH_INTERVAL_S)
        if not request.done():
            raise AlreadyStopped
        return request.result()

    def _watch(self) -> None:
        while not self._is_stopped:
            try:
                work, request = self._requests.get(timeout=WATCH_INTERVAL_S)
            except queue.Empty:
                self._revive_the_dead()
                continue
            try:
                request.set_result(work())
            except BaseException as error:
                request.set_exception(error)

    def _start(self, spec: ChildSpec) -> Child:
        assert all(child.name != spec.name for child in self._children), f"{spec.name} is already started"
        log_path = self._log_dir / f"{spec.name}.log"
        child = Child(spec, log_path, self._spawn(spec, log_path))
        self._children.append(child)
        return child

    def _spawn(self, spec: ChildSpec, log_path: Path) -> "subprocess.Popen[bytes]":
        if log_path.exists() and log_path.stat().st_size > LOG_BYTES:
            log_path.replace(log_path.with_suffix(".log.1"))
        with log_path.open("ab") as log_file:
            process = subprocess.Popen(
                tied_to_this_process(spec.command, spec.death_signal),
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **spec.environment},
            )
        write_pid_file(self._run_dir / f"{spec.name}.json", process.pid)
        return process

    def _revive_the_dead(self) -> None:
        for child in self._children:
            if child.is_running or child.failure is not None or self._is_pausing(child.name):
                continue
            status = child.process.returncode
            allowed = self._max_restarts if child.was_ready else RESTARTS_BEFORE_READY
            if self._may_restart(child.name, allowed):
                with child.log_path.open("a") as log_file:
                    print(f"[{child.name} ended with status {status}; starting it again]", file=log_file)
                child.process = self._spawn(child.spec, child.log_path)
                child.restarts += 1
            else:
                child.failure = (
                    f"{child.name} ended {allowed + 1} times in short order, at last with {status}"
                )
        for service in self._services:
            if self._is_pausing(service.name) or service.is_alive():
                continue
            if self._may_restart(service.name, self._max_restarts):
                with contextlib.suppress(Exception):  # tried again after a pause, and counted
                    service.revive()

    def _is_pausing(self, name: str) -> bool:
        return time.monotonic() < self._due.get(name, 0.0)

    def _may_restart(self, name: str, allowed: int) -> bool:
        deaths = self._deaths.setdefault(name, deque())
        now = time.monotonic()
        recent = sum(1 for moment in deaths if now - moment < self._within_s)
        if recent >= allowed:
            return False
        deaths.append(now)
        self._due[name] = now + RESTART_PAUSE_S * 2.0**recent
        return True

    def _stop_all(self) -> None:
        above = [child for child in self._children if not child.spec.is_foundation]
        foundations = [child for child in reversed(self._children) if child.spec.is_foundation]
        stops: list[Callable[[], object]] = [
            lambda: self._stop_group(above),
            lambda: self._stop_group(foundations),
            *[service.stop for service in reversed(self._services)],
        ]
        failures = []
        for stop in stops:
            try:
                stop()
            except Exception as failure:
                failures.append(failure)
        for child in self._children:
            if child.is_running:
                kill_group(child.pid, signal.SIGKILL)
        self._is_stopped = True
        if failures:
            raise failures[0]

    def _stop_group(self, children: Sequence[Child]) -> None:
        for child in children:
            if child.is_running:
                kill_group(child.pid, signal.SIGTERM)
        for child in children:
            deadline = time.monotonic() + child.spec.stop_timeout_s
            while child.is_running and time.monotonic() < deadline and not self._hurry.is_set():
                time.sleep(0.02)
            if child.is_running:
                kill_group(child.pid, signal.SIGKILL)
                child.process.wait()
            (self._run_dir / f"{child.name}.json").unlink(missing_ok=True)


def tied_to_this_process(command: Sequence[str], death_signal: int) -> list[str]:
    """The command, made to get `death_signal` when the thread that starts it ends with its process."""
    tie = [sys.executable, "-I", "-S", "-c", _TIED_TO_PARENT, str(os.getpid()), str(int(death_signal))]
    return [*tie, *command]
