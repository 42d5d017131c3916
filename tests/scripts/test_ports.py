"""Ports of countries that start side by side."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from scripts.supervision.ports import PortClaims
from scripts.supervision.readiness import LOOPBACK


@contextmanager
def bound(*, is_listening: bool) -> Iterator[int]:
    """A port that nobody else is given meanwhile: only who shares it on purpose may bind it as well."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind((LOOPBACK, 0))
        if is_listening:
            holder.listen()
        yield holder.getsockname()[1]


def test_a_free_preferred_port_is_given() -> None:
    with bound(is_listening=False) as port:
        assert PortClaims().claim(port) == port


def test_a_port_that_another_country_has_claimed_but_not_bound_yet_is_not_given_twice() -> None:
    with bound(is_listening=False) as port:
        first, second = PortClaims(), PortClaims()
        assert first.claim(port) == port
        assert second.claim(port) != port
        first.release()
        assert PortClaims().claim(port) == port


def test_a_port_that_a_stranger_has_bound_is_not_given() -> None:
    with bound(is_listening=True) as taken:
        assert PortClaims().claim(taken) != taken
