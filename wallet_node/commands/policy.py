"""The commands about the policy: the text in force, and a template with its officers.

    policy           --home DIR                                          the text in force, for the file
    complete-policy  --template NAME|FILE --officer NAME=ed25519:KEY ..  a policy for a first start

An officer with a passkey is given as in a policy, in JSON: {"name": .., "credential": {..}}. Both write
the text alone to standard output, byte for byte; `policy` works beside a running node as well.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import msgspec

from wallet_node.errors import MalformedRequest
from wallet_node.policy.change import active_source
from wallet_node.policy.file import Officer
from wallet_node.policy.template import complete, template_source
from wallet_node.store import Store


def add_to(commands: Any) -> None:
    """Add these commands to an argument parser's subparsers."""
    shown = commands.add_parser("policy", help="print the text of the policy in force")
    shown.add_argument("--home", type=Path, required=True)
    shown.set_defaults(run=_show)
    made = commands.add_parser("complete-policy", help="print a template with its officers' public keys")
    made.add_argument("--template", required=True, help="sandbox-bank, say, or a file")
    made.add_argument(
        "--officer",
        action="append",
        default=[],
        metavar="NAME=ed25519:KEY",
        help="in the order of the quorum; repeatable",
    )
    made.set_defaults(run=_complete)


def _show(options: argparse.Namespace) -> int:
    path: Path = options.home / "journal.sqlite3"
    if not path.exists():
        raise MalformedRequest(f"there is no journal in {path.parent}: no policy was ever in force here")
    store = Store.to_read(path)
    try:
        source = active_source(store)
    finally:
        store.close()
    if source is None:
        raise MalformedRequest("no policy was ever in force here: the first start believes its file")
    return _write(source)


def _complete(options: argparse.Namespace) -> int:
    return _write(complete(template_source(options.template), [_officer(each) for each in options.officer]))


def _officer(text: str) -> Officer:
    try:
        if text.startswith("{"):
            return msgspec.json.decode(text, type=Officer)
        name, _, key = text.partition("=")
        return msgspec.convert({"name": name, "key": key}, Officer)
    except msgspec.MsgspecError as error:
        raise MalformedRequest(f"--officer {text!r}: write NAME=ed25519:KEY ({error})") from None


def _write(source: bytes) -> int:
    sys.stdout.buffer.write(source)
    sys.stdout.buffer.flush()
    return 0
