"""The composition root: `python -m wallet_node.main`.

    serve             --home DIR --policy FILE --socket PATH
                      [--listen CALLER=unix:PATH | CALLER=tls:HOST:PORT | tls:HOST:PORT]...
                      [--certificates DIR]              for tls: the node's own identity
    init              --home DIR --keys institution [--token-keys governor] [--kek passphrase|token|transit]
                                                        make the seed and the named keys; repeatable
    bind              --home DIR --chain-id N --contract 0x.. --domain-name NAME [--notary 0x..]
                                                        the one deployment to sign for; repeatable
    verify-journal    --home DIR [--anchor SIZE:ROOT]   recompute the journal, and compare it with anchors
    policy            --home DIR                        print the policy in force, as it belongs in the file
    complete-policy   --template sandbox-bank --officer NAME=ed25519:KEY..
                                                        print a template with its officers' public keys
    backup, restore, import-key, export-key, rotate-kek see `commands/custody.py`

Without a command it serves. The passphrase comes from the file that FLORIN_WALLET_NODE_PASSPHRASE_FILE
names.
"""

import argparse
import logging
import signal
import sys
from pathlib import Path

import msgspec

from wallet_node import hardening
from wallet_node.commands import custody as custody_commands
from wallet_node.commands import policy as policy_commands
from wallet_node.errors import WalletNodeError
from wallet_node.transport import endpoints

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
    serve.add_argument(
        "--policy", type=Path, required=True, help="the first policy, or one that is or was in force"
    )
    bind = commands.add_parser("bind", help="set the one deployment that this home signs for; repeatable")
    bind.add_argument("--chain-id", type=int, required=True)
    bind.add_argument("--contract", required=True)
    bind.add_argument("--domain-name", required=True)
    bind.add_argument("--notary", help="without one, the node signs no anchors")
    verify = commands.add_parser("verify-journal", help="recompute the journal from its rows")
    verify.add_argument(
        "--anchor", action="append", default=[], metavar="SIZE:ROOT", help="what was anchored; repeatable"
    )
    for command, run in ((serve, _serve), (bind, _bind), (verify, _verify_journal)):
        command.add_argument("--home", type=Path, required=True)
        command.set_defaults(run=run)
    custody_commands.add_to(commands)
    policy_commands.add_to(commands)
    return parser


def _serve(options: argparse.Namespace) -> int:
    from wallet_node.callers import declared
    from wallet_node.checkpoints import Checkpointer
    from wallet_node.keystore.custody import unlock_home
    from wallet_node.keystore.signatures import require_backends
    from wallet_node.node import WalletNode
    from wallet_node.policy.policy import Policy
    from wallet_node.transport.routes import Application
    from wallet_node.transport.serving import serve

    require_backends()
    home: Path = options.home
    named = endpoints.chosen(options)
    policy = Policy.load(options.policy)
    hardening.require_private(home)
    secrets = unlock_home(home)
    hardening.hold(home)
    node = WalletNode(home, secrets, policy)
    node.test_itself()
    application = Application(node, callers=lambda: declared(node.policy.file.callers))
    state = node.readiness()
    if state["policy_file"] == "replaced":
        _log.warning(
            "the file is %s %d, which officers have replaced: in force is %s %d. `python -m wallet_node.main"
            " policy --home %s` prints it for the file",
            policy.name,
            policy.file.version,
            node.policy.name,
            node.policy.file.version,
            home,
        )
    _log.info(
        "ready: policy %s %d (%s), %d institutional keys, %d derived keys, %d journal rows, bound: %s",
        node.policy.name,
        node.policy.file.version,
        node.policy.digest.hex()[:16],
        state["keys"],
        state["derived"],
        state["journal_rows"],
        state["bound"],
    )
    # uvicorn raises the signal that stopped it once more after closing; then there is nothing left to stop.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    try:
        with Checkpointer(home / "journal.sqlite3"):
            serve(application, named, options.certificates)
    finally:
        node.close()
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
    from wallet_node.journal.verification import parse_anchor, verify_file

    anchors = dict(map(parse_anchor, options.anchor))
    verified = verify_file(options.home / "journal.sqlite3", anchors)
    told = {"rows": verified.rows, "root": "0x" + verified.root.hex(), "anchors": len(anchors)}
    sys.stdout.write(msgspec.json.encode(told).decode() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
