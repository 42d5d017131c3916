"""Ports of countries that start side by side."""

from __future__ import annotations

import socket

from scripts.supervision.ports import PortClaims
from scripts.supervision.readiness import LOOPBACK, free_port


def test_a_free_preferred_port_is_given() -> None:
    port = free_port()
    assert PortClaims().claim(port) == port


def test_a_port_that_another_country_has_claimed_but_not_bound_yet_is_not_given_twice() -> None:
    port = free_port()
    first, second = PortClaims(), PortClaims()
    assert first.claim(port) == port
    assert second.claim(port) != port
    first.release()
    assert PortClaims().claim(port) == port


def test_a_port_that_a_stranger_has_bound_is_not_given() -> None:
    with socket.socket() as stranger:
        stranger.bind((LOOPBACK, 0))
        stranger.listen()
        taken = stranger.getsockname()[1]
        assert PortClaims().claim(taken) != taken
