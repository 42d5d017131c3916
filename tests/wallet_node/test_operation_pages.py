"""What waits for officers, page by page.

pages of operations
├── hold each operation once, in the order in which they expire, whatever size they have
├── go on behind an operation that has ended meanwhile, and show none that has
└── begin behind no id that never was; a page has a bounded size
"""

import json
import uuid
from typing import Any

import pytest
from http_calls import call
from node_builders import Home, transaction
from officers_word import withdraw
from policy_builders import bundled

from contracts.abi import encode_increase_mint_allowance
from wallet_node.callers import Peer
from wallet_node.transport.routes import Application

KEYS = ("governor", "issuer", "pauser", "upgrader")
ALLOWANCE = "0x" + encode_increase_mint_allowance(1, 1_000).hex()


@pytest.fixture
def application(home: Home) -> Application:
    return Application(home.open(bundled("sandbox-central-bank").source, KEYS))


async def propose(home: Home, application: Application, count: int) -> list[tuple[int, dict[str, Any]]]:
    """So many operations, of which two each expire together."""
    answers = []
    for number in range(count):
        body = json.dumps(transaction(ALLOWANCE, "issuer")).encode()
        status, _, waiting = await call(application, "POST", "/v1/transactions:sign", body)
        answers.append((status, waiting))
        home.clock.now_s += number % 2
    return answers


async def page(application: Application, query: str) -> tuple[int, Any]:
    officers = Peer("officers")
    status, _, content = await call(application, "GET", "/v1/operations", peer=officers, query=query)
    return status, content


async def pages(application: Application, limit: int) -> list[list[str]]:
    found, query = [], f"limit={limit}"
    while True:
        status, content = await page(application, query)
        assert status == 200, content
        found.append([each["operation_id"] for each in content["operations"]])
        if "next" not in content:
            return found
        query = f"limit={limit}&after={content['next']}"


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 200])
async def test_each_operation_is_there_once_in_the_order_in_which_they_expire(
    home: Home, application: Application, limit: int
) -> None:
    proposed = await propose(home, application, 7)
    ordered = sorted((each["expires_at_s"], each["operation_id"]) for _, each in proposed)
    found = await pages(application, limit)
    assert [each for page in found for each in page] == [operation_id for _, operation_id in ordered]
    assert [len(each) for each in found] == [limit] * (7 // limit) + [7 % limit] * (7 % limit > 0)


async def test_a_page_goes_on_behind_what_has_ended_meanwhile(home: Home, application: Application) -> None:
    proposed = await propose(home, application, 5)
    _, first = await page(application, "limit=2")
    waiting = {each["operation_id"]: each for _, each in proposed}
    for ended in (first["next"], first["operations"][0]["operation_id"]):
        withdraw(application.node, (202, waiting[ended]))
    _, second = await page(application, f"limit=2&after={first['next']}")
    assert len(second["operations"]) == 2
    _, third = await page(application, f"limit=2&after={second['next']}")
    assert (len(third["operations"]), third.get("next")) == (1, None)
    home.clock.now_s += 86_400
    assert (await page(application, ""))[1]["operations"] == []


async def test_what_is_no_page_is_refused(application: Application) -> None:
    for query in ("limit=0", "limit=201", "limit=01", "after=", "after=null", "limit=1&limit=1", "page=2"):
        status, problem = await page(application, query)
        assert (status, problem["code"]) == (400, "MalformedRequest"), query
    status, problem = await page(application, f"after={uuid.uuid4()}")
    assert (status, problem["code"]) == (403, "UnknownOperation")
