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
from node_builders import payment, transaction
from node_process import NodeProcess, lasting, signed

ROUNDS = int(os.environ.get("FLORIN_SIGNER_KILL_ROUNDS", "4"))
"""How often the real node is killed; `make test-signer-kill ROUNDS=200` does it 200 times."""

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
    assert found.keys() == {"payments", "transaction", "shared"}
    for counted in found.values():
        assert counted["out"] > 100
        assert counted["in"] > 5


Asked = tuple[str, dict[str, Any]]
"""A path and its body."""

MINT = "0xa0712d68"


def asked_of(payers: list[str], chance: random.Random) -> list[Asked]:
    """Batches with a few payments that are refused and a few known ones, and a transaction after each."""
    requests: list[Asked] = []
    earlier: list[dict[str, Any]] = []
    for _ in range(BATCHES):
        payments = [payment(payers[place % 50]) for place in range(SIZE)]
        payments[7]["amount_minor"] = 0
        if earlier:
            payments[9] = chance.choice(earlier) | {"amount_minor": 7}
        earlier += payments[20:25]
        requests.append(("/v1/payments:sign", lasting(*payments)))
        amount = f"{chance.randrange(1, 2**40):064x}"
        requests.append(("/v1/transactions:sign", transaction(MINT + amount)))
    return requests


def answer(client: httpx.Client, asked: Asked) -> Any:
    path, body = asked
    response = client.post(path, json=body)
    if path == "/v1/payments:sign":
        return signed(response)
    assert response.status_code == 200, response.text
    return response.json()


class Caller(threading.Thread):
    """Sends request after request until the node is gone, and keeps every answer that arrived."""

    def __init__(self, node: NodeProcess, requests: list[Asked]) -> None:
        super().__init__()
        self.answers: dict[int, Any] = {}
        self.has_begun = threading.Event()
        self._node = node
        self._requests = requests

    def run(self) -> None:
        with self._node.client() as client:
            for place, asked in enumerate(self._requests):
                try:
                    self.answers[place] = answer(client, asked)
                except httpx.TransportError:
                    return
                self.has_begun.set()


class Signed:
    """What every signature that was ever seen stands for: a nonce is signed for one content."""

    def __init__(self) -> None:
        self.contents: dict[tuple[str, str, int], Any] = {}
        self.refused = 0

    def note(self, asked: Asked, answered: Any) -> None:
        path, body = asked
        if path == "/v1/transactions:sign":
            self._hold("transaction", body["key"], answered["nonce"], body["data"])
            return
        for one, result in zip(body["payments"], answered, strict=True):
            if "refusal" in result:
                self.refused += 1
                continue
            content = (one["payment_id"], one["payee"], one["amount_minor"])
            self._hold("payment", one["payer"], result["nonce"], content)

    def _hold(self, space: str, signer: str, nonce: int, content: Any) -> None:
        assert self.contents.setdefault((space, signer, nonce), content) == content


def test_the_real_process_killed_under_way_gives_the_same_answers_afterwards(tmp_path: Path) -> None:
    node = NodeProcess.make(tmp_path).prepare()
    client = node.start()
    found = Signed()
    try:
        payers = client.post("/v1/keys:derive", json={"indices": list(range(50))}).json()["addresses"]
        chance = random.Random(20_26)
        cut_short = 0
        for _ in range(ROUNDS):
            requests = asked_of(payers, chance)
            caller = Caller(node, requests)
            caller.start()
            assert caller.has_begun.wait(30)
            caller.join(timeout=chance.uniform(0.0, 0.2))
            node.kill()
            caller.join()
            cut_short += len(caller.answers) < len(requests)
            client = node.start()
            for place, asked in enumerate(requests):
                answered = answer(client, asked)
                assert caller.answers.get(place, answered) == answered
                found.note(asked, answered)
        assert cut_short, "no kill came while requests were under way"
    finally:
        node.kill()
    verified = node.command("verify-journal")
    assert verified.returncode == 0, verified.stderr
    # in each batch a payment is refused, in all but the first another one is of a known id; and a transaction
    assert len(found.contents) == ROUNDS * (BATCHES * SIZE - BATCHES + 1)
    assert found.refused == ROUNDS * (2 * BATCHES - 1)
    rows = json.loads(verified.stdout)["rows"]
    assert len(found.contents) + ROUNDS * BATCHES < rows <= len(found.contents) + found.refused


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
