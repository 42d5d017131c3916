"""The institutions of the sample country: what each is, where it lives on disk, how its processes are run."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from api.settings import NO_FILE, Kind, Settings
from contracts.durable import write_durably
from contracts.manifest import Manifest
from contracts.transactions import checksum_address
from scripts.country.data_directory import DataDirectory
from scripts.country.officers import Officer, complete_policy
from scripts.country.secret_file import read_or_make_secret
from scripts.supervision.processes import ChildSpec
from scripts.supervision.readiness import LOOPBACK, http_ready, socket_ready

CURRENCY, CURRENCY_EXPONENT = "CZK", 2
PASSPHRASE_VARIABLE = "FLORIN_WALLET_NODE_PASSPHRASE_FILE"  # noqa: S105 - the name of a variable
LONGEST_SOCKET_PATH_BYTES = 100
OFFICERS = ("first-officer", "second-officer", "third-officer")
"""Who approves, at every institution of the sample: two of them are a quorum."""
RP_ID = "localhost"
"""What customers' passkeys are bound to (a name: WebAuthn knows no addresses)."""
RECOVERY_COOLING_S = 60.0
"""A day is the rule: in the sample country somebody may want to see the end of it."""
FIRST_KEY_ID = "first"
"""The id of the first key that the alias directory is hashed under."""
ANCHOR_EVERY_S = 15.0
"""Daily is the rule: the sample country anchors often enough for a run of a minute to have anchors."""


@dataclass(frozen=True, slots=True)
class InstitutionPlan:
    """What one institution is. `port` is the one that its API would like to have."""

    slug: str
    name: str
    kind: Kind
    participant_id: int
    keys: tuple[str, ...]
    policy: str
    port: int

    @property
    def origin(self) -> str:
        """Where its customers use their passkeys."""
        return f"http://{RP_ID}:{self.port}"


CENTRAL_BANK = InstitutionPlan(
    slug="central-bank",
    name="Central Bank",
    kind="central_bank",
    participant_id=0,
    keys=("governor", "issuer", "pauser", "upgrader"),
    policy="sandbox-central-bank",
    port=8100,
)
PAYING_BANK = InstitutionPlan(
    slug="bank-a",
    name="First Bank",
    kind="bank",
    participant_id=1,
    keys=("institution",),
    policy="sandbox-bank",
    port=8101,
)
BILLING_BANK = InstitutionPlan(
    slug="bank-b",
    name="Second Bank",
    kind="bank",
    participant_id=2,
    keys=("institution",),
    policy="sandbox-bank",
    port=8102,
)
INSTITUTIONS = (CENTRAL_BANK, PAYING_BANK, BILLING_BANK)


class NodeFailed(Exception):
    """A wallet node's preparatory command did not succeed."""

    code = "NodeFailed"

    def __init__(self, slug: str, command: str, message: str) -> None:
        super().__init__(f"{slug}: wallet_node {command} failed: {message.strip()}")


@dataclass(frozen=True, slots=True)
class InstitutionHome:
    """Where one institution keeps its things, and how its processes are started."""

    data: DataDirectory
    plan: InstitutionPlan

    @property
    def directory(self) -> Path:
        """What belongs to this institution alone."""
        return self.data.path / self.plan.slug

    @property
    def settings_file(self) -> Path:
        """What its API and worker read."""
        return self.directory / "settings.toml"

    @property
    def api_key_file(self) -> Path:
        """The key with which the `florin` command calls it."""
        return self.directory / "api-key"

    @property
    def directory_key_file(self) -> Path:
        """The key with which a bank calls the central bank's alias directory."""
        return self.directory / "directory-key"

    @property
    def directory_secret_file(self) -> Path:
        """What the central bank's alias directory is hashed under."""
        return self.directory / "directory-secret"

    @property
    def node_home(self) -> Path:
        """Its wallet node's keystore and journal, and nobody else's business."""
        return self.directory / "wallet-node"

    @property
    def signer_journal(self) -> Path:
        """What its wallet node signed, for whoever verifies it."""
        return self.node_home / "journal.sqlite3"

    @property
    def passphrase_file(self) -> Path:
        """What opens the keystore."""
        return self.node_home / "passphrase"

    @property
    def socket(self) -> Path:
        """Its wallet node's socket; elsewhere where the path would be too long for one."""
        return self._socket_directory / "wallet-node.sock"

    @property
    def officers_socket(self) -> Path:
        """Where its officers reach the wallet node, past the bank's own servers."""
        return self._socket_directory / "officers.sock"

    @property
    def _socket_directory(self) -> Path:
        if len(os.fsencode(self.directory / "wallet-node.sock")) <= LONGEST_SOCKET_PATH_BYTES:
            return self.directory
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"florin-{digest}"

    @property
    def policy_file(self) -> Path:
        """Its signer's first policy, with its officers' public keys; later ones the officers approve."""
        return self.node_home / "policy.yaml"

    def officers(self) -> list[Officer]:
        """Its officers, whose keys are made at first use. Raises SecretUnusable."""
        return [Officer.open(self.data.officers_of(self.plan.slug), name) for name in OFFICERS]

    def clear_socket(self) -> None:
        """Removes what was made for the sockets outside of the data directory."""
        if self._socket_directory != self.directory:
            shutil.rmtree(self._socket_directory, ignore_errors=True)

    @property
    def database(self) -> str:
        """The name of its database on a server of the country's own; its roles are named after it."""
        return self.plan.slug.replace("-", "_")

    def write_policy(self) -> None:
        """Makes the node's first policy where it is missing.

        One after the other: two threads that make msgspec look at the same types for the first time can end
        the process.
        """
        self.node_home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.policy_file.exists():
            policy = complete_policy(self.plan.policy, self.officers())
            write_durably(self.policy_file, policy, mode=0o600)

    def make_keys(self) -> dict[str, str]:
        """Makes the node's seed, named keys and policy where they are missing; the addresses by name."""
        self.node_home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.passphrase_file.exists():
            write_durably(self.passphrase_file, secrets.token_urlsafe(32).encode(), mode=0o600)
        self.write_policy()
        answer = self._run_node("init", "--keys", ",".join(self.plan.keys))
        keys: dict[str, str] = msgspec.json.decode(answer)["keys"]
        return keys

    def bind_node(self, manifest: Manifest) -> None:
        """Tells the node the one deployment that it signs for."""
        self._run_node(
            "bind", "--chain-id", str(manifest.chain_id), "--contract", checksum_address(manifest.proxy),
            "--domain-name", manifest.currency.name, "--notary", checksum_address(manifest.notary),
        )  # fmt: skip

    def settings(
        self, *, database_url: str, port: int, rpc_url: str, manifest: Path, directory_url: str
    ) -> Settings:
        """The settings of its API and worker, written to its file; `directory_url` is the central bank."""
        is_bank = self.plan.kind == "bank"
        if not is_bank and not self.directory_secret_file.exists():
            secret = f"{FIRST_KEY_ID} {secrets.token_hex(32)}\n"
            write_durably(self.directory_secret_file, secret.encode(), mode=0o600)
        settings = Settings(
            institution=self.plan.slug,
            institution_name=self.plan.name,
            kind=self.plan.kind,
            participant_id=self.plan.participant_id,
            database_url=database_url,
            listen_host=LOOPBACK,
            listen_port=port,
            signer_socket=self.socket,
            rpc_url=rpc_url,
            manifest_path=manifest,
            currency=CURRENCY,
            currency_exponent=CURRENCY_EXPONENT,
            is_sandbox=True,
            anchor_every_s=ANCHOR_EVERY_S,
            rp_id=RP_ID,
            people_key=read_or_make_secret(self.directory / "people-key").hex(),
            recovery_cooling_s=RECOVERY_COOLING_S,
            directory_url=directory_url if is_bank else "",
            directory_key_file=self.directory_key_file if is_bank else NO_FILE,
            directory_secret_file=NO_FILE if is_bank else self.directory_secret_file,
        )
        write_durably(self.settings_file, settings.to_toml().encode(), mode=0o600)
        return settings

    def node_spec(self) -> ChildSpec:
        """Its wallet node."""
        self.socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        command = (
            sys.executable, "-m", "wallet_node.main", "serve",
            "--home", str(self.node_home), "--policy", str(self.policy_file),
            "--listen", f"api=unix:{self.socket}", "--listen", f"officers=unix:{self.officers_socket}",
        )  # fmt: skip
        return ChildSpec(
            f"{self.plan.slug}-wallet-node", command, self._environment, socket_ready(self.socket, "/healthz")
        )

    def worker_spec(self) -> ChildSpec:
        """Its worker: relay, indexer, reconciliation and anchoring."""
        command = (sys.executable, "-m", "api.workers", "--settings", str(self.settings_file))
        return ChildSpec(f"{self.plan.slug}-worker", command)

    def api_spec(self, port: int) -> ChildSpec:
        """Its API, ready when its database, chain, signer and indexer are."""
        command = (sys.executable, "-m", "api.main", "--settings", str(self.settings_file))
        ready = http_ready(f"http://{LOOPBACK}:{port}/readyz")
        return ChildSpec(f"{self.plan.slug}-api", command, ready=ready)

    @property
    def _environment(self) -> Mapping[str, str]:
        return {PASSPHRASE_VARIABLE: str(self.passphrase_file)}

    def _run_node(self, command: str, *arguments: str) -> bytes:
        done = subprocess.run(
            [sys.executable, "-m", "wallet_node.main", command, "--home", str(self.node_home), *arguments],
            env={**os.environ, **self._environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise NodeFailed(self.plan.slug, command, done.stderr.decode(errors="replace"))
        return done.stdout


def signer_journals(data: DataDirectory) -> dict[str, Path]:
    """Each institution's signer's journal, by slug."""
    return {plan.slug: InstitutionHome(data, plan).signer_journal for plan in INSTITUTIONS}
