"""Run as a script: make, rotate and upgrade a keystore, killed at every line; say on which side each fell.

As in crash_at_every_line, each crash is a forked child that kills itself. Then exactly one of the two
passphrases opens the keystore, with every key, and repeating the act completes it.
"""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from crash_at_every_line import kill_at, traced  # noqa: E402
from test_keystore_custody import CHEAP, NAMES, NEW, OLD, all_keys, write_format_1  # noqa: E402

from wallet_node.errors import KeystoreNotFound, OutdatedKeystore, WrongPassphrase  # noqa: E402
from wallet_node.keystore.files import create, rotate_kek, unlock  # noqa: E402
from wallet_node.keystore.kek import PassphraseKek  # noqa: E402
from wallet_node.keystore.upgrade import is_outdated, upgrade  # noqa: E402

Act = Callable[[Path], object]


def rotate(directory: Path) -> None:
    rotate_kek(directory, PassphraseKek(OLD).unwrap, PassphraseKek(NEW, CHEAP))


def bring_forward(directory: Path) -> None:
    upgrade(directory, OLD, PassphraseKek(NEW, CHEAP))


def make(directory: Path) -> None:
    create(directory, NEW, NAMES, CHEAP)


def opens(directory: Path, passphrase: bytes) -> object:
    try:
        return all_keys(unlock(directory, passphrase))
    except (WrongPassphrase, OutdatedKeystore, KeystoreNotFound):
        return None


def is_before(act: Act, directory: Path) -> bool:
    """Whether everything is as it was before the act."""
    if act is rotate:
        return opens(directory, OLD) is not None
    return is_outdated(directory) if act is bring_forward else opens(directory, NEW) is None


def crash_everywhere(scratch: Path, template: Path, act: Act) -> dict[str, int]:
    places: dict[tuple[str, int], list[int]] = {}
    steps = 0

    def note(frame: FrameType) -> None:
        nonlocal steps
        steps += 1
        places.setdefault((frame.f_code.co_filename, frame.f_lineno), []).append(steps)

    for name in ("warm", "undisturbed"):
        places.clear()
        steps = 0
        shutil.copytree(template, scratch / name)
        traced(lambda name=name: act(scratch / name), note)  # type: ignore[misc]
    found = {"before": 0, "after": 0}
    copy = scratch / "crash"
    for step in sorted({at for seen in places.values() for at in (seen[0], seen[-1])}):
        shutil.copytree(template, copy)
        kill_at(step, lambda: lambda: act(copy))
        before, after = is_before(act, copy), opens(copy, NEW) is not None
        assert before != after, f"step {step}: before {before}, after {after}"
        found["after" if after else "before"] += 1
        if before or act is make:
            act(copy)
        if act is not make:
            assert opens(copy, NEW) == opens(scratch / "undisturbed", NEW), f"step {step}: other keys"
        assert opens(copy, NEW), f"step {step}: repeating did not complete it"
        shutil.rmtree(copy)
    return found


def main(scratch: Path) -> None:
    create(scratch / "rotate-template", OLD, NAMES, CHEAP)
    write_format_1(scratch / "upgrade-template", {"seed": bytes(range(32)), "governor": b"\x11" * 32})
    (scratch / "make-template").mkdir(mode=0o700)
    found = {}
    for name, act in (("rotate", rotate), ("upgrade", bring_forward), ("make", make)):
        (scratch / name).mkdir()
        found[name] = crash_everywhere(scratch / name, scratch / f"{name}-template", act)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
