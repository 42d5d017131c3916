"""The composition root: `python -m wallet_node.main`.

    serve             --home DIR --policy FILE --socket PATH
                      [--listen CALLER=unix:PATH | CALLER=tls:HOST:PORT | tls:HOST:PORT]...
                      [--certificates DIR]              for tls: the node's own identity
    init              --home DIR --keys institution     make the seed and the named keys; repeatable
    bind              --home DIR --chain-id N --contract 0x.. --domain-name NAME [--notary 0x..]
                                                        the one deployment to sign for; repeatable
    verify-journal    --home DIR                        recompute the hash chain

Without a command it serves. The passphrase comes from the file that FLORIN_WALLET_NODE_PASSPHRASE_FILE
names. A policy is a file, or the name of one that ships with the node: `sandbox-no-proof` or
`sandbox-central-bank`.
"""

import argparse
import logging
import re
import signal
import sys
from importlib.resources import files
from pathlib import Path

import msgspec

from wallet_node import endpoints, hardening
from wallet_node.addresses import checksummed
from wallet_node.errors import MalformedRequest, WalletNodeError

_log = logging.getLogger("wallet_node")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit status is 1 and the code is on standard error when it refuses."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0].startswith("-"):
        given = ["serve", *given]
    options = _parser().parse_args(given)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    hardening.harden_process()
    try:
        status: int = options.run(options)
    except WalletNodeError as error:
        sys.stderr.write(f"{error.code}: {error.detail}\n")
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m wallet_node.main", description="Florin's key-management node."
    )
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="serve on Unix sockets or over mTLS (the default)")
    endpoints.add_options(serve)
    serve.add_argument("--policy", required=True, help="a policy file, or the name of a bundled one")
    init = commands.add_parser("init", help="make the keystore; repeatable")
    init.add_argument("--keys", required=True, help="names of institutional keys, separated by commas")
    bind = commands.add_parser("bind", help="set the one deployment that this home signs for; repeatable")
    bind.add_argument("--chain-id", type=int, required=True)
    bind.add_argument("--contract", required=True)
    bind.add_argument("--domain-name", required=True)
    bind.add_argument("--notary", help="without one, the node signs no anchors")
    verify = commands.add_parser("verify-journal", help="recompute the journal's hash chain")
    for command, run in ((serve, _serve), (init, _init), (bind, _bind), (verify, _verify_journal)):
        command.add_argument("--home", type=Path, required=True)
        command.set_defaults(run=run)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from wallet_node.callers import declared
    from wallet_node.keystore.files import unlock
    from wallet_node.node import WalletNode
    from wallet_node.policy import Policy
    from wallet_node.routes import Application
    from wallet_node.serving import serve
    from wallet_node.signing import require_backends

    require_backends()
    home: Path = options.home
    named = endpoints.chosen(options)
    policy = Policy.load(_policy_path(options.policy))
    hardening.require_private(home)
    secrets = unlock(home / "keystore", hardening.read_passphrase())
    hardening.hold(home)
    node = WalletNode(home, secrets, policy)
    node.test_itself()
    application = Application(node, callers=lambda: declared(node.policy.file))
    state = node.readiness()
    _log.info(
        "ready: policy %s (%s), %d institutional keys, %d derived keys, %d journal rows, bound: %s",
        policy.name,
        policy.digest.hex()[:16],
        state["keys"],
        state["derived"],
        state["journal_rows"],
        state["bound"],
    )
    # uvicorn raises the signal that stopped it once more after closing; then there is nothing left to stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        serve(application, named, options.certificates)
    finally:
        node.close()
    return 0


def _init(options: argparse.Namespace) -> int:
    from wallet_node.keystore.files import SEED_ID, create, unlock

    home: Path = options.home
    names = [name for name in options.keys.split(",") if name]
    for name in names:
        if not re.fullmatch(r"[a-z][a-z0-9_-]{0,31}", name) or name in (
            SEED_ID,
            "manifest",
            "derived",
            "any",
            "other",
        ):
            raise MalformedRequest(f"{name!r} cannot be the name of a key")
    passphrase = hardening.read_passphrase()
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    keystore = home / "keystore"
    # A running node holds the home; asking again for keys that exist must work beside it.
    secrets = unlock(keystore, passphrase) if (keystore / "manifest.json").exists() else None
    if secrets is None or not secrets.named.keys() >= set(names):
        hardening.hold(home)
        secrets = create(keystore, passphrase, names)
    addresses = {name: checksummed(secrets.named[name].address) for name in names}
    sys.stdout.write(msgspec.json.encode({"keys": addresses}).decode() + "\n")
    return 0


def _bind(options: argparse.Namespace) -> int:
    from wallet_node import strict_json
    from wallet_node.deployment import Binding, bind

    home: Path = options.home
    named = {"chain_id": options.chain_id, "contract": options.contract, "domain_name": options.domain_name}
    binding = strict_json.convert(
        named if options.notary is None else {**named, "notary": options.notary}, Binding
    )
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    home.chmod(0o700)
    bind(home, binding)
    return 0


def _verify_journal(options: argparse.Namespace) -> int:
    from wallet_node.journal import verify
    from wallet_node.store import Store

    path = options.home / "journal.sqlite3"
    if not path.exists():
        raise MalformedRequest(f"there is no journal in {options.home}")
    store = Store(path)
    length, head = verify(store)
    store.close()
    sys.stdout.write(msgspec.json.encode({"rows": length, "head": head.hex()}).decode() + "\n")
    return 0


def _policy_path(named: str) -> Path:
    if re.fullmatch(r"[a-z][a-z0-9-]*", named):
        return Path(str(files("wallet_node").joinpath("policies", f"{named}.yaml")))
    return Path(named)


if __name__ == "__main__":
    sys.exit(main())
