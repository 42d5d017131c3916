"""kill -9, anywhere: a batch is journaled whole or not at all, and asking again gives the same bytes."""

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import httpx
from node_builders import payment
from node_process import NodeProcess, lasting, signed

ROUNDS = 4
BATCHES = 24
SIZE = 100


def test_killed_at_any_line_the_batch_is_whole_or_absent_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    script = Path(__file__).with_name("crash_at_every_line.py")
    # A killed process loses nothing that it wrote, whatever the file system; in memory, crashes are quick.
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else tmp_path
    with tempfile.TemporaryDirectory(dir=place) as scratch:
        ran = subprocess.run(
            [sys.executable, str(script), scratch], capture_output=True, text=True, timeout=300, check=False
        )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    # Lines before the commit and lines after it: were there none of either, the crashes missed the point.
    for act in ("payments", "transaction"):
        assert found[act]["out"] > 100
        assert found[act]["in"] > 20


class Caller(threading.Thread):
    """Sends batch after batch until the node is gone, and keeps every answer that arrived."""

    def __init__(self, node: NodeProcess, requests: list[dict[str, Any]]) -> None:
        super().__init__()
        self.answers: dict[int, list[Any]] = {}
        self.has_begun = threading.Event()
        self._node = node
        self._requests = requests

    def run(self) -> None:
        with self._node.client() as client:
            for place, request in enumerate(self._requests):
                try:
                    self.answers[place] = signed(client.post("/v1/payments:sign", json=request))
                except httpx.TransportError:
                    return
                self.has_begun.set()


def test_the_real_process_killed_under_way_gives_the_same_answers_afterwards(tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path).prepare()
    client = node.start()
    try:
        payers = client.post("/v1/keys:derive", json={"indices": list(range(50))}).json()["addresses"]
        chance = random.Random(20_26)
        taken: set[tuple[str, int]] = set()
        cut_short = 0
        for _ in range(ROUNDS):
            requests = [lasting(*(payment(payers[i % 50]) for i in range(SIZE))) for _ in range(BATCHES)]
            caller = Caller(node, requests)
            caller.start()
            assert caller.has_begun.wait(30)
            caller.join(timeout=chance.uniform(0.0, 0.2))
            node.kill()
            caller.join()
            cut_short += len(caller.answers) < BATCHES
            client = node.start()
            for place, request in enumerate(requests):
                results = signed(client.post("/v1/payments:sign", json=request))
                assert all("signature" in result for result in results)
                assert caller.answers.get(place, results) == results
                for one, result in zip(request["payments"], results, strict=True):
                    assert (one["payer"], result["nonce"]) not in taken
                    taken.add((one["payer"], result["nonce"]))
        assert cut_short, "no kill came while batches were under way"
    finally:
        node.kill()
    verified = node.command("verify-journal")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["rows"] == ROUNDS * BATCHES * SIZE == len(taken)


def test_a_journal_that_was_edited_is_told_by_the_command(tmp_path: Path) -> None:
    import sqlite3

    node = NodeProcess.make(tmp_path).prepare()
    client = node.start()
    try:
        payer = client.post("/v1/keys:derive", json={"indices": [0]}).json()["addresses"][0]
        signed(client.post("/v1/payments:sign", json=lasting(payment(payer), payment(payer))))
    finally:
        node.kill()
    connection = sqlite3.connect(node.home / "journal.sqlite3")
    connection.executescript("DROP TRIGGER intents_stay; UPDATE intents SET sequence = 1 WHERE nonce = 1;")
    connection.close()
    verified = node.command("verify-journal")
    assert verified.returncode == 1
    assert verified.stderr.startswith("JournalBroken: row 2 ")
