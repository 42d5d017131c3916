"""Where webhooks may go.

An address
├── is public or not, for IPv4 within IPv6 too
├── of https at a public host may be used
├── of http, or of a host that is not public, only in a sandbox
│   └── however it is written: short, as one number, in hexadecimal, mapped, by a name
├── with a user, a fragment, letters that are not ASCII or cannot be seen: never
└── whose name has one address that is not public has none
A name is looked up once for a connection, which goes nowhere else
"""

from __future__ import annotations

import socket

import aiohttp
import pytest

from api.webhooks.destinations import is_public, require_destination
from api.webhooks.errors import WebhookUrlRefused
from api.webhooks.resolving import ForbiddenAddress, PublicResolver, look_up
from tests.fakes.webhook_receiver import webhook_receiver

PRIVATE = (
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "169.254.169.254", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1",
    "2001:db8::1", "localhost", "",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "8.8.8.8", "172.32.0.1", "2606:4700:4700::1111", "::ffff:1.1.1.1")


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url", ["https://shop.example/hooks?x=1", "https://1.1.1.1:8443/", "https://[2606:4700::1]/"]
)
def test_public_https_may_be_used(url: str) -> None:
    assert str(require_destination(url, is_sandbox=False)) == url


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0",
        "127.0.0.1.",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "169.254.169.254",
        "[fe80::1%25eth0]",
    ],
)
def test_hosts_that_are_not_public_only_in_a_sandbox(host: str) -> None:
    with pytest.raises(WebhookUrlRefused):
        require_destination(f"https://{host}/", is_sandbox=False)


@pytest.mark.parametrize("url", ["http://shop.example/", "http://127.0.0.1:8000/hooks"])
def test_http_only_in_a_sandbox(url: str) -> None:
    require_destination(url, is_sandbox=True)
    with pytest.raises(WebhookUrlRefused):
        require_destination(url, is_sandbox=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "https://",
        "https:///path",
        "https://user@shop.example/",
        "https://user:word@shop.example/",
        "https://shop.example/#part",
        "https://shop.example:99999/",
        "https://shop.example/\r\nX: y",
        "https://shop.example/ x",
        "https://bücher.example/",
        "https://[::1/",
        "https://shop.example/" + "x" * 2_000,
    ],
)
@pytest.mark.parametrize("is_sandbox", [True, False])
def test_what_is_no_address_for_a_webhook(url: str, is_sandbox: bool) -> None:
    with pytest.raises(WebhookUrlRefused):
        require_destination(url, is_sandbox=is_sandbox)


@pytest.mark.parametrize("name", ["localhost", "0x7f000001", "0x7f.1"])
async def test_names_of_our_own_side_lead_nowhere(name: str) -> None:
    assert await look_up(name, 443)
    with pytest.raises(ForbiddenAddress):
        await PublicResolver().resolve(name, 443)


@pytest.mark.parametrize("found", [[], ["1.1.1.1", "127.0.0.1"], ["fe80::1"]])
async def test_one_bad_address_spoils_a_name(found: list[str]) -> None:
    async def lookup(_host: str, _port: int) -> list[str]:
        return found

    with pytest.raises(ForbiddenAddress):
        await PublicResolver(lookup).resolve("shop.example", 443)


async def test_a_name_cannot_change_its_mind_after_it_was_judged() -> None:
    answers = [["1.1.1.1", "2606:4700::1"], ["127.0.0.1"]]

    async def lookup(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    found = await PublicResolver(lookup).resolve("shop.example", 8443)
    assert [(each["host"], each["port"], each["family"]) for each in found] == [
        ("1.1.1.1", 8443, socket.AF_INET),
        ("2606:4700::1", 8443, socket.AF_INET6),
    ]
    assert all(each["flags"] & socket.AI_NUMERICHOST for each in found), "nobody looks it up again"
    assert len(answers) == 1


async def test_a_connection_is_made_to_what_was_judged_and_nowhere_else() -> None:
    """The same connector, with a resolver that lets loopback through, reaches the receiver; ours does not."""

    class Anywhere(PublicResolver):
        async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC):  # type: ignore[no-untyped-def]
            looked_up.append(host)
            result = {"hostname": host, "host": "127.0.0.1", "port": port, "family": socket.AF_INET}
            return [{**result, "proto": 0, "flags": socket.AI_NUMERICHOST}]

    looked_up: list[str] = []
    async with webhook_receiver() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        for resolver, arrives in ((PublicResolver(), 0), (Anywhere(), 1)):
            connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False)
            async with aiohttp.ClientSession(connector=connector) as session:
                try:
                    async with session.post(f"http://localhost:{port}/") as answer:
                        assert answer.status == 204
                except aiohttp.ClientError:
                    assert not arrives
            assert len(receiver.requests) == arrives
    assert looked_up == ["localhost"]
