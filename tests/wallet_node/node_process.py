"""The real node as a child process, for tests of what only a process can show."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from node_builders import CHAIN_ID, CONTRACT, DOMAIN_NAME, NO_PROOF_FILE, NOTARY, batch

from wallet_node.deployment import Binding, bind
from wallet_node.keystore.disk import make_private
from wallet_node.keystore.envelopes import KeyDerivation
from wallet_node.keystore.files import begin_keystore, create
from wallet_node.keystore.kek import PassphraseKek

REPOSITORY = Path(__file__).parents[2]
PASSPHRASE = "a passphrase of some length"
BINDING = Binding(CHAIN_ID, CONTRACT, DOMAIN_NAME, NOTARY)


@dataclass
class NodeProcess:
    """A home with its passphrase, the commands on it, and at most one serving process."""

    home: Path
    socket: Path
    environment: dict[str, str]
    serving: subprocess.Popen[bytes] | None = None
    log: list[Path] = field(default_factory=list)
    listen: list[str] = field(default_factory=list)
    """Further endpoints, `--listen` before the first; and what they need."""
    policy: str = str(NO_PROOF_FILE)

    @classmethod
    def make(cls, directory: Path) -> "NodeProcess":
        passphrase = directory / "passphrase"
        passphrase.write_text(PASSPHRASE + "\n")
        passphrase.chmod(0o600)
        environment = os.environ | {
            "FLORIN_WALLET_NODE_PASSPHRASE_FILE": str(passphrase),
            "PYTHONPATH": str(REPOSITORY),
        }
        return cls(directory / "home", directory / "s", environment)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "wallet_node.main", *arguments, "--home", str(self.home)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def prepare(self, binding: Binding = BINDING, institution: bytes | None = None) -> "NodeProcess":
        """What init and bind do, but with the cheapest argon2id terms: a test opens its keystore often.

        `institution` is a key that the test holds as well.
        """
        self.home.mkdir(mode=0o700)
        terms = KeyDerivation(os.urandom(16), memory_kib=8, passes=1, lanes=1)
        if institution is not None:
            make_private(self.home / "keystore")
            keystore = begin_keystore(self.home / "keystore", PassphraseKek(PASSPHRASE.encode(), terms))
            keystore.put("institution", "imported", institution)
            keystore.put_seed()
            keystore.commit()
        create(self.home / "keystore", PASSPHRASE.encode(), ["institution"], terms)
        bind(self.home, binding)
        return self

    def bind(self, **changes: str) -> subprocess.CompletedProcess[str]:
        given = {
            "chain-id": str(CHAIN_ID),
            "contract": CONTRACT,
            "domain-name": DOMAIN_NAME,
            "notary": NOTARY,
        } | changes
        return self.command("bind", *(part for name, value in given.items() for part in (f"--{name}", value)))

    def start(self) -> httpx.Client:
        """Serve, and wait until the node is ready."""
        log = self.home.parent / f"log.{len(self.log)}"
        self.log.append(log)
        with log.open("wb") as output:
            self.serving = subprocess.Popen(
                [sys.executable, "-m", "wallet_node.main", "serve", *self.serve_arguments()],
                env=self.environment,
                stderr=output,
            )
        return self._when_ready()

    def serve_arguments(self) -> list[str]:
        own = ["--home", str(self.home), "--socket", str(self.socket), "--policy", self.policy]
        return [*own, *(["--listen", *self.listen] if self.listen else [])]

    def client(self) -> httpx.Client:
        transport = httpx.HTTPTransport(uds=str(self.socket))
        return httpx.Client(transport=transport, base_url="http://node", timeout=30)

    def kill(self) -> None:
        """kill -9, and wait for it to be over."""
        if self.serving is not None:
            self.serving.send_signal(signal.SIGKILL)
            self.serving.wait(timeout=30)
            self.serving = None

    def stop(self) -> int:
        """Ask it to stop; its exit status."""
        assert self.serving is not None
        self.serving.terminate()
        status = self.serving.wait(timeout=30)
        self.serving = None
        return status

    def _when_ready(self) -> httpx.Client:
        assert self.serving is not None
        client = self.client()
        while self.serving.poll() is None:
            try:
                if client.get("/readyz").status_code == 200:
                    return client
            except httpx.TransportError:
                # Not listening yet: wait for it to end or a moment to pass, whichever comes first.
                try:
                    self.serving.wait(timeout=0.02)
                except subprocess.TimeoutExpired:
                    continue
        raise AssertionError(f"the node ended: {self.log[-1].read_text()}")


def lasting(*payments: dict[str, Any]) -> dict[str, Any]:
    """A batch that is valid for ten minutes of the real clock, which the process reads."""
    return batch(*payments, valid_before_s=int(time.time()) + 600)


def signed(response: httpx.Response) -> list[Any]:
    """The results of a payments request that must have been answered."""
    assert response.status_code == 200, response.text
    results: list[Any] = response.json()["results"]
    return results
