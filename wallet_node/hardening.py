"""What the operating system is asked for: no dumps, private files, one process a home."""

import ctypes
import fcntl
import os
import resource
import stat
from pathlib import Path

from wallet_node.errors import AlreadyRunning, HomeTooOpen, PassphraseUnusable

_PR_GET_DUMPABLE = 3
_PR_SET_DUMPABLE = 4
_SHORTEST_PASSPHRASE = 12


def harden_process() -> None:
    """No core file, no ptrace by the same user, no reading of /proc/PID/mem; new files are private."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")


def is_dumpable() -> bool:
    """Whether the kernel would dump this process."""
    return bool(ctypes.CDLL(None).prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0))


def require_private(home: Path) -> None:
    """Raise HomeTooOpen unless only the owner can look into the home and its keystore."""
    for directory in (home, home / "keystore"):
        if directory.exists() and stat.S_IMODE(directory.stat().st_mode) & 0o077:
            raise HomeTooOpen(
                f"{directory.name} is open to other users; chmod 700 it and change what they saw"
            )


def hold(home: Path) -> int:
    """Take the home for this process for as long as it lives. Raises AlreadyRunning."""
    handle = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise AlreadyRunning("another process uses this home; one node serves one home") from None
    return handle


def read_passphrase(variable: str = "FLORIN_WALLET_NODE_PASSPHRASE_FILE") -> bytes:
    """The passphrase from the private file that an environment variable names. Raises PassphraseUnusable."""
    named = os.environ.get(variable)
    if not named:
        raise PassphraseUnusable(f"set {variable} to a file (mode 0600) that holds the passphrase")
    path = Path(named)
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise PassphraseUnusable(f"{path.name} is open to other users; chmod 600 it")
        passphrase = path.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise PassphraseUnusable(f"the passphrase file cannot be read: {error.strerror}") from None
    if len(passphrase) < _SHORTEST_PASSPHRASE:
        raise PassphraseUnusable(f"the passphrase has fewer than {_SHORTEST_PASSPHRASE} characters")
    return passphrase
