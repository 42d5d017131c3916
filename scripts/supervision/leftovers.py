"""What a killed run left behind, found by pid files that carry a process's birth."""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


class AlreadyRunning(Exception):
    """Another run holds this data directory."""


def hold_lock(run_dir: Path) -> int:
    """Hold a data directory until the result is closed; AlreadyRunning if another process holds it."""
    run_dir.mkdir(parents=True, exist_ok=True)
    lock_file = os.open(run_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock_file)
        raise AlreadyRunning(
            f"another florin runs on {run_dir.parent}: stop it first (Ctrl-C there)"
        ) from None
    return lock_file


def process_birth(pid: int) -> str | None:
    """What tells a process from a later one with the same id; None when there is none (or only a zombie)."""
    if sys.platform != "linux":
        found = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return found.stdout.strip() or None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in ("Z", "X") else f"{boot} {fields[19]}"


def write_pid_file(path: Path, pid: int) -> None:
    """Remember a started process."""
    path.write_text(json.dumps({"pid": pid, "birth": process_birth(pid)}))


def stop_leftovers(run_dir: Path, timeout_s: float = 10.0) -> list[str]:
    """End the processes that a killed run left behind, and only those; answers their names."""
    stopped = []
    for path in sorted(run_dir.glob("*.json")):
        with contextlib.suppress(ValueError, KeyError, TypeError):
            entry = json.loads(path.read_text())
            pid, birth = int(entry["pid"]), entry["birth"]
            if birth is not None and process_birth(pid) == birth:
                _end(pid, birth, timeout_s)
                stopped.append(path.stem)
        path.unlink()
    return stopped


def _end(pid: int, birth: str, timeout_s: float) -> None:
    kill_group(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while process_birth(pid) == birth and time.monotonic() < deadline:
        time.sleep(0.02)
    if process_birth(pid) == birth:
        kill_group(pid, signal.SIGKILL)


def kill_group(pid: int, signal_number: int) -> None:
    """Signal a process group, if it is still there."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal_number)
