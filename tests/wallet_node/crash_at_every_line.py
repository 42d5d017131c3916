"""Run as a script: sign one batch, killed at every line of the node's own code; say what the crashes left.

Requests are a batch with signed, repeated and refused payments, a transaction, and two that share a commit.
A crash is at a line of wallet_node or contracts: every line that the batch runs, at its first time and at its
last, the others' at its last. Then a fresh node opens what was left: the journal must verify and hold all of
the request or nothing of it, and asking again must give the same bytes as a run that was never disturbed.

What a killed process leaves is what its files hold at that line, so one run is enough, whose files are copied
at each. Of these lines every tenth (or as FLORIN_SIGNER_KILL_EVERY says) has a real crash as well, which must
leave the same: a forked child that kills itself (SIGKILL) when it reaches the line.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from node_builders import (  # noqa: E402
    CHAIN_ID,
    DOMAIN,
    VALID_BEFORE_S,
    Home,
    batch,
    customers,
    payment,
    sign,
    sign_one,
    transaction,
)

from contracts.typed_data import payment_digest  # noqa: E402
from wallet_node.journal.entries import PaymentSigned  # noqa: E402
from wallet_node.journal.group import JournalGroup  # noqa: E402
from wallet_node.journal.nonces import PAYMENT, Content, KnownIntent, PaymentTerms, Space  # noqa: E402
from wallet_node.journal.pages import Page, Row  # noqa: E402
from wallet_node.journal.verification import verify  # noqa: E402
from wallet_node.node import WalletNode  # noqa: E402

OWN_CODE = ("/wallet_node/", "/contracts/")
ROWS_BEFORE = 1
LOT = 100
"""Copies that are there at once, for a small /dev/shm."""
EVERY = int(os.environ.get("FLORIN_SIGNER_KILL_EVERY", "10"))
Request = Callable[[WalletNode], object]
Act = Callable[[], object]
MINT = "0xa0712d68" + "00" * 32


def prepare(path: Path) -> tuple[Home, list[str], dict[str, Any]]:
    """A home with two customers and one payment signed before."""
    path.mkdir(mode=0o700)
    home = Home(path).bind()
    node = home.open()
    payers = customers(node, 2)
    earlier = payment(payers[0])
    sign(node, batch(earlier))
    home.close()
    return home, payers, earlier


def traced(act: Callable[[], object], at_line: Callable[[FrameType], None]) -> object:
    """Run `act`, calling `at_line` before each line of the node's own code."""

    def local(frame: FrameType, event: str, argument: object) -> Any:
        if event == "line":
            at_line(frame)
        return local

    def tracer(frame: FrameType, event: str, argument: object) -> Any:
        name = frame.f_code.co_filename
        return local if any(part in name for part in OWN_CODE) and "/tests/" not in name else None

    sys.settrace(tracer)
    try:
        return act()
    finally:
        sys.settrace(None)


def kill_at(step: int, prepare: Callable[[], Act]) -> None:
    """Run what `prepare` returns in a child that kills itself before its `step`-th line."""
    child = os.fork()
    if child == 0:
        left = step
        act = prepare()

        def at_line(frame: FrameType) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        traced(act, at_line)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"step {step} was not reached"
    assert os.WTERMSIG(status) == signal.SIGKILL


def crash_everywhere(
    scratch: Path, template: Path, request: Request, *, also_opening: bool
) -> dict[str, int]:
    """Every line of asking a node on a copy of `template`; how many crashes left the request out or in."""

    def prepared(home: Home) -> Act:
        if also_opening:
            return lambda: request(home.open())
        node = home.open()
        return lambda: request(node)

    first: dict[tuple[str, int], int] = {}
    last: dict[tuple[str, int], int] = {}
    steps = 0

    def note(frame: FrameType) -> None:
        nonlocal steps
        steps += 1
        line = (frame.f_code.co_filename, frame.f_lineno)
        first.setdefault(line, steps)
        last[line] = steps

    for name in ("warm", "undisturbed"):  # caches that a child inherits make its way shorter: note the second
        first.clear()
        last.clear()
        steps = 0
        undisturbed = Home(Path(shutil.copytree(template, scratch / name)))
        expected = traced(prepared(undisturbed), note)
        rows_after = undisturbed.opened[-1].readiness()["journal_rows"]
        undisturbed.close()
    steps_to_die_at = sorted({*first.values(), *last.values()} if also_opening else set(last.values()))
    to_be_killed = steps_to_die_at[::EVERY]
    found = {"out": 0, "in": 0}

    def is_whole(path: Path, step: int) -> bool:
        """Whether the request is in what a crash left, which must be all of it or nothing."""
        home = Home(path)
        node = home.open()
        rows = node.readiness()["journal_rows"]
        assert rows in (ROWS_BEFORE, rows_after), f"step {step}: {rows} rows"
        assert request(node) == expected, f"step {step}: other bytes"
        assert node.readiness()["journal_rows"] == rows_after
        verify(node._store)
        home.close()
        shutil.rmtree(path)
        return bool(rows == rows_after)

    def copies(lot: Sequence[int]) -> dict[int, Path]:
        """What a run leaves at each of these lines."""
        left: dict[int, Path] = {}
        step, wanted = 0, set(lot)

        def copy(frame: FrameType) -> None:
            nonlocal step
            step += 1
            if step in wanted:
                left[step] = Path(shutil.copytree(scratch / "run", scratch / f"left-{step}"))

        home = Home(Path(shutil.copytree(template, scratch / "run")))
        assert traced(prepared(home), copy) == expected
        home.close()
        shutil.rmtree(home.path)
        assert list(left) == list(lot)
        return left

    for start in range(0, len(steps_to_die_at), LOT):
        for step, path in copies(steps_to_die_at[start : start + LOT]).items():
            is_in = is_whole(path, step)
            found["in" if is_in else "out"] += 1
            if step in to_be_killed:
                killed = Home(Path(shutil.copytree(template, scratch / "crash")))
                kill_at(step, lambda killed=killed: prepared(killed))  # type: ignore[misc]
                assert is_whole(killed.path, step) == is_in, f"step {step}: a copy is not what a kill leaves"
    return found


def shared(node: WalletNode) -> list[object]:
    """Two requests that are there at once, as far as their nonces: one commit."""
    journal = node._journal
    group = JournalGroup(journal)
    space = Space(CHAIN_ID, DOMAIN.contract, PAYMENT)

    async def one(number: int) -> object:
        intent_id = bytes([number]) * 16
        known = journal.known([intent_id]).get(intent_id)
        if isinstance(known, KnownIntent):
            return known.nonce
        nonce = journal.next_nonce(space, b"P" * 20)
        content = Content(b"P" * 20, b"Q" * 20, number)
        digest = payment_digest(DOMAIN.separator, b"Q" * 20, number, nonce, VALID_BEFORE_S)
        signed = PaymentSigned(space, content, nonce, 1, PaymentTerms(VALID_BEFORE_S), digest)
        await group.write(Page(first_attempts=[Row(intent_id, signed)]), 1)
        return nonce

    async def both() -> list[object]:
        return list(await asyncio.gather(one(1), one(2)))

    return asyncio.run(both())


def main(scratch: Path) -> None:
    home, payers, earlier = prepare(scratch / "template")
    bank = "0x" + home.open().keys()["keys"]["institution"][2:]
    home.close()
    payments = batch(
        payment(payers[1]),
        payment(bank, payers[1]),
        earlier | {"attempt": 2},
        payment(payers[0], amount_minor=0),
        earlier | {"amount_minor": 7},
        valid_before_s=VALID_BEFORE_S + 60,
    )
    call = transaction(MINT)
    asked: dict[str, Request] = {
        "payments": lambda node: sign(node, payments),
        "transaction": lambda node: sign_one(node, call),
        "shared": shared,
    }
    found = {}
    for name, request in asked.items():
        (scratch / name).mkdir()
        found[name] = crash_everywhere(scratch / name, home.path, request, also_opening=name == "payments")
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
