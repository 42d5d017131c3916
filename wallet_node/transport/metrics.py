"""What an operator watches, as Prometheus reads it: a registry of the node's own, nothing global."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wallet_node.callers import Verb
from wallet_node.node import WalletNode

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OTHER = "other"
"""The label of what has no name in the tables: a caller that nobody knows, a path that is not there."""

_PREFIX = "florin_wallet_node_"
_LATENCY_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class _NodeCollector(Collector):
    """Reads the node's own counts when they are asked for."""

    def __init__(self, node: WalletNode) -> None:
        self._node = node

    def collect(self) -> Iterator[Metric]:
        signatures = CounterMetricFamily(
            f"{_PREFIX}signatures", "Signatures that left the node.", labels=["kind"]
        )
        for kind, count in sorted(self._node.signatures.items()):
            signatures.add_metric([kind], count)
        yield signatures
        refusals = CounterMetricFamily(f"{_PREFIX}refusals", "What was refused, by code.", labels=["code"])
        for code, count in sorted(self._node.refusals.items()):
            refusals.add_metric([code], count)
        yield refusals
        state = self._node.readiness()
        yield _gauge("ready", "1 when the self-test verified and no signature failed since.", state["ready"])
        yield _gauge("institutional_keys", "Named keys loaded.", state["keys"])
        yield _gauge("derived_keys", "Customer keys handed out.", state["derived"])
        yield _gauge("journal_rows", "Rows in the journal.", state["journal_rows"])


class Metrics:
    """Counts of one node and of the requests to it."""

    def __init__(self, node: WalletNode) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_NodeCollector(node))
        self._requests = Counter(
            f"{_PREFIX}requests", "Requests answered.", ["caller", "verb", "status"], registry=self._registry
        )
        self._latency = Histogram(
            f"{_PREFIX}request_seconds",
            "From a request's headers to its answer.",
            ["verb"],
            registry=self._registry,
            buckets=_LATENCY_BUCKETS_S,
        )
        # Looking a child up by its labels costs more than counting.
        self._children: dict[tuple[str, str | None, int], tuple[Counter, Histogram]] = {}
        self._closed = Counter(
            f"{_PREFIX}connections_closed",
            "Connections that the node ended, by the code of why.",
            ["endpoint", "code"],
            registry=self._registry,
        )

    def answered(self, caller: str, verb: Verb | str | None, status: int, took_s: float) -> None:
        """Count one answer. `caller` and `verb` are of the tables, or OTHER; None is a health check."""
        found = self._children.get((caller, verb, status))
        if found is None:
            label = "health" if verb is None else verb
            found = self._requests.labels(caller, label, str(status)), self._latency.labels(label)
            self._children[caller, verb, status] = found
        found[0].inc()
        found[1].observe(took_s)

    def closed(self, endpoint: str, code: str) -> None:
        """Count one connection that the node did not let in, or ended."""
        self._closed.labels(endpoint, code).inc()

    def exposition(self) -> str:
        """Prometheus's text format."""
        return generate_latest(self._registry).decode()


def _gauge(name: str, explanation: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, explanation, value=float(value))
