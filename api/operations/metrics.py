"""Prometheus metrics of one institution, in a registry of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.operations import queries

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from api.institution import Institution


class Metrics:
    """What this process counts itself, and what it reads from the books when it is asked."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "florin_http_requests", "HTTP requests", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "florin_http_request_seconds", "Time to answer", ("method", "route"), registry=self.registry
        )
        self._payments = Gauge(
            "florin_payments", "Payments by kind and state", ("kind", "state"), registry=self.registry
        )
        self._queue = Gauge(
            "florin_queue_length", "Intents that wait to be sent", ("queue",), registry=self.registry
        )
        self._lag = Gauge(
            "florin_indexer_lag_blocks", "Blocks between head and final", registry=self.registry
        )
        self._difference = Gauge(
            "florin_reconciliation_difference_minor", "Books minus chain, minor units", registry=self.registry
        )
        self._frozen = Gauge("florin_frozen_flows", "Flows that are stopped", registry=self.registry)
        self._anchored = Gauge(
            "florin_anchored_size", "Leaves that the newest anchor covers", ("log",), registry=self.registry
        )
        self._anchor_age = Gauge(
            "florin_anchor_age_seconds", "Age of the newest anchor", ("log",), registry=self.registry
        )

    async def render(self, institution: Institution) -> bytes:
        """The text of Prometheus' exposition format, with the books read now."""
        async with institution.pool.acquire() as conn:
            counts = await queries.outbox_counts(conn)
            refused = await queries.refused_count(conn)
            unregistered = await queries.unregistered_wallets(conn)
            cursor = await queries.cursor(conn)
            reconciled = await queries.last_reconciliation(conn)
            frozen = await queries.freezes(conn)
            anchors = await queries.final_anchors(conn)
        self._payments.clear()
        self._payments.labels("payment", "refused").set(refused)
        queued = 0
        for row in counts:
            self._payments.labels(row["kind"], row["state"]).set(row["count"])
            queued += row["count"] if row["state"] == "queued" else 0
        self._queue.labels("payments").set(queued)
        self._queue.labels("registrations").set(unregistered)
        self._lag.set(cursor["head_number"] - cursor["final_number"] if cursor else 0)
        self._difference.set(reconciled["difference_minor"] if reconciled else 0)
        self._frozen.set(len(frozen))
        for row in anchors:
            self._anchored.labels(row["log"]).set(row["size"])
            self._anchor_age.labels(row["log"]).set(row["age_s"])
        return generate_latest(self.registry)


class MeasureRequests:
    """ASGI middleware: counts and times requests by their route, never by the path that a caller makes up."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        began = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route: Any = scope.get("route")
            path = getattr(route, "path", "none")
            self._metrics.requests.labels(scope["method"], path, str(status)).inc()
            self._metrics.seconds.labels(scope["method"], path).observe(time.perf_counter() - began)
