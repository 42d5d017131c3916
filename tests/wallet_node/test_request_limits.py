"""How much and how often: token buckets on a clock that the test moves, sizes by verb, memory by caller."""

import json

import pytest
from http_calls import answer_of, call
from hypothesis import given
from hypothesis import strategies as st
from node_builders import Home

from wallet_node.callers import Caller, Peer
from wallet_node.errors import BodyTooLarge, RateLimited, TooManyConnections
from wallet_node.transport.limits import BodiesUnderWay, RateLimiter, body_bytes, require_size
from wallet_node.transport.routes import Application

SLOW = Caller("api", ("read", "derive"), requests_per_s=2, burst=3)


class Hand:
    """A monotonic clock that moves when told."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def taken(limiter: RateLimiter, caller: Caller) -> bool:
    try:
        limiter.require(caller, "read")
    except RateLimited:
        return False
    return True


def test_a_burst_goes_through_and_then_the_rate() -> None:
    clock = Hand()
    limiter = RateLimiter(clock)
    assert [taken(limiter, SLOW) for _ in range(4)] == [True, True, True, False]
    clock.now_s += 0.5
    assert [taken(limiter, SLOW) for _ in range(2)] == [True, False]
    clock.now_s += 3_600
    assert [taken(limiter, SLOW) for _ in range(4)] == [True, True, True, False]


def test_without_a_burst_one_seconds_worth_goes_through() -> None:
    limiter = RateLimiter(Hand())
    caller = Caller("api", ("read",), requests_per_s=2)
    assert [taken(limiter, caller) for _ in range(3)] == [True, True, False]


def test_verbs_and_callers_do_not_share_and_health_checks_are_free() -> None:
    limiter = RateLimiter(Hand())
    while taken(limiter, SLOW):
        pass
    limiter.require(SLOW, "derive")
    limiter.require(Caller("officers", ("read",), requests_per_s=1), "read")
    for _ in range(10):
        limiter.require(SLOW, None)


@given(
    st.integers(1, 50),
    st.integers(1, 50),
    st.lists(st.floats(0, 10, allow_nan=False), min_size=1, max_size=200),
)
def test_no_history_gets_more_than_the_burst_and_the_rate_over_its_time(
    rate: int, burst: int, pauses_s: list[float]
) -> None:
    clock = Hand()
    limiter = RateLimiter(clock)
    caller = Caller("api", ("read",), requests_per_s=rate, burst=burst)
    start_s, granted = clock.now_s, 0
    for pause_s in pauses_s:
        clock.now_s += pause_s
        granted += taken(limiter, caller)
    assert granted <= burst + rate * (clock.now_s - start_s) + 1e-6


@given(st.integers(1, 1_000), st.integers(1, 20), st.floats(0, 5, allow_nan=False))
def test_whoever_waits_as_long_as_told_is_served(rate: int, burst: int, pause_s: float) -> None:
    clock = Hand()
    limiter = RateLimiter(clock)
    caller = Caller("api", ("read",), requests_per_s=rate, burst=burst)
    clock.now_s += pause_s
    for _ in range(burst):
        limiter.require(caller, "read")
    with pytest.raises(RateLimited) as refused:
        limiter.require(caller, "read")
    clock.now_s += int(dict(refused.value.headers)[b"retry-after"])
    limiter.require(caller, "read")


async def test_too_many_requests_are_refused_with_the_time_to_wait_and_counted(home: Home) -> None:
    clock, node = Hand(), home.open()
    application = Application(node, lambda: (SLOW,), clock)
    for _ in range(3):
        assert (await call(application, "GET", "/v1/keys"))[0] == 200
    status, headers, content = await answer_of(application, "GET", "/v1/keys")
    assert (status, headers["retry-after"], json.loads(content)["code"]) == (429, "1", "RateLimited")
    assert node.refusals["RateLimited"] == 1
    assert (await call(application, "GET", "/healthz"))[0] == 200
    clock.now_s += 1
    assert (await call(application, "GET", "/v1/keys"))[0] == 200


async def test_a_body_that_announces_too_much_is_refused_unread(home: Home) -> None:
    size = str(body_bytes("derive") + 1)
    status, _, problem = await call(
        home.open(), "POST", "/v1/keys:derive", b"", b"never read", headers={"Content-Length": size}
    )
    assert (status, problem["code"]) == (413, "BodyTooLarge")


async def test_a_body_that_grows_too_large_is_refused_and_its_room_given_back(home: Home) -> None:
    application = Application(home.open())
    part = b" " * (body_bytes("derive") // 2 + 1)
    for _ in range(100):  # held for good, they would fill the caller's share
        status, _, problem = await call(application, "POST", "/v1/keys:derive", part, part, part)
        assert (status, problem["code"]) == (413, "BodyTooLarge")
    good = b'{"indices": [0]}'
    assert (await call(application, "POST", "/v1/keys:derive", good[:5], good[5:]))[0] == 200


async def test_a_body_where_none_belongs_is_refused(home: Home) -> None:
    status, _, problem = await call(home.open(), "GET", "/v1/keys", b"{}")
    assert (status, problem["code"]) == (413, "BodyTooLarge")


def test_each_verb_has_a_size_of_its_own() -> None:
    require_size(64 * 1024, "approve")
    with pytest.raises(BodyTooLarge):
        require_size(64 * 1024 + 1, "approve")
    require_size(64 * 1024 + 1, "sign-payments")
    with pytest.raises(BodyTooLarge):
        require_size(1, None)


def test_one_callers_unfinished_bodies_do_not_take_anothers_room() -> None:
    bodies = BodiesUnderWay(most_bytes=10)
    bodies.hold("api", 6)
    with pytest.raises(TooManyConnections):
        bodies.hold("api", 5)
    bodies.hold("officers", 10)
    bodies.release("api", 6)
    bodies.hold("api", 10)


async def test_requests_are_counted_by_caller_verb_and_status_and_timed(home: Home) -> None:
    application = Application(home.open())
    await call(application, "GET", "/v1/keys")
    await call(application, "GET", "/v1/keys", peer=Peer("officers"))
    await call(application, "GET", "/metrics", peer=Peer("officers"))
    await call(application, "GET", "/nowhere")
    await call(application, "GET", "/v1/keys", peer=Peer("a-name-that-nobody-knows"))
    await call(application, "GET", "/healthz")
    _, content_type, text = await call(application, "GET", "/metrics")
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    for labels in (
        'caller="api",status="200",verb="read"',
        'caller="officers",status="200",verb="read"',
        'caller="officers",status="403",verb="metrics"',
        'caller="api",status="404",verb="other"',
        'caller="other",status="403",verb="read"',
        'caller="api",status="200",verb="health"',
    ):
        assert f"florin_wallet_node_requests_total{{{labels}}} 1.0\n" in text
    assert 'florin_wallet_node_request_seconds_count{verb="read"} 3.0\n' in text
    for gauge in ("ready 1.0", "institutional_keys 1.0", "derived_keys 0.0", "journal_rows 0.0"):
        assert f"florin_wallet_node_{gauge}\n" in text
    assert "a-name-that-nobody-knows" not in text


async def test_two_nodes_count_each_for_itself(home: Home) -> None:
    node = home.open()
    first, second = Application(node), Application(node)
    await call(first, "GET", "/nowhere")
    assert 'verb="other"' not in (await call(second, "GET", "/metrics"))[2]
