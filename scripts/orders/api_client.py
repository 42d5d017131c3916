"""An institution's HTTP interface as the import uses it: patient, and safe to repeat.

A service that dies and is restarted in the middle of a run costs only time: every request carries a key or a
reference of its own, so sending it again changes nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

PASSING_STATUSES = frozenset({425, 429, 500, 502, 503, 504})
LONGEST_PAUSE_S = 2.0

Json = dict[str, Any]
Answer = TypeVar("Answer")


class ServiceUnreachable(Exception):
    """A service did not answer for the whole of the client's patience."""

    code = "ServiceUnreachable"

    def __init__(self, url: str, waited_s: float, last: str) -> None:
        super().__init__(
            f"{url} gave no answer for {waited_s:.0f} s (last: {last}); its log is in the data directory"
        )


class RequestRefused(Exception):
    """A refusal by an institution that sending again would not change. `code` is the institution's word."""

    def __init__(self, url: str, status: int, problem: Mapping[str, Any]) -> None:
        self.status, self.problem = status, dict(problem)
        self.code = str(problem.get("code", "RequestRefused"))
        super().__init__(f"{url} refused ({status} {self.code}): {problem.get('detail', problem)}")


class ApiClient:
    """One institution's API, called with one key. An async context manager.

    `patience_s` is how long a request is sent again, `first_pause_s` the first of the growing pauses between;
    `lines_at_once` is the size of the requests that a bulk request is sent in.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        patience_s: float = 180.0,
        first_pause_s: float = 0.1,
        lines_at_once: int = 2_000,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._patience_s = patience_s
        self._first_pause_s = first_pause_s
        self._lines_at_once = lines_at_once
        self._headers = {"Authorization": f"Bearer {api_key}"}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=120, sock_connect=5)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def get(self, path: str, **query: str | int) -> Json:
        """The JSON document at `path`. Raises RequestRefused and ServiceUnreachable."""
        return await self._document("GET", path, params={name: str(value) for name, value in query.items()})

    async def post(self, path: str, body: Json, *, key: str) -> Json:
        """Sends `body` under the idempotency key `key`: repeated, it acts once and gets the same answer."""
        return await self._document("POST", path, json=body, headers={"Idempotency-Key": key})

    async def put(self, path: str, body: Json) -> Json:
        """Sets what is at `path`."""
        return await self._document("PUT", path, json=body)

    async def bulk(
        self, path: str, lines: Sequence[Json], on_progress: Callable[[int], None] = lambda _: None
    ) -> list[Json]:
        """Sends lines in their order, some thousands a request, and returns one answer for each.

        An answer that breaks off is asked for again whole: each line's own reference makes that safe.
        `on_progress` gets the number of newly answered lines.
        """
        answers: list[Json] = []
        for start in range(0, len(lines), self._lines_at_once):
            part = lines[start : start + self._lines_at_once]
            answers += await self._bulk_part(path, part)
            on_progress(len(part))
        return answers

    async def _bulk_part(self, path: str, lines: Sequence[Json]) -> list[Json]:
        encoded = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
        headers = {"Content-Type": "application/x-ndjson"}

        def read(content: bytes) -> list[Json]:
            answers = [msgspec.json.decode(line, type=Json) for line in content.splitlines() if line.strip()]
            for answer in answers:
                if answer.get("state") == "error":
                    if answer.get("status") in PASSING_STATUSES:
                        raise aiohttp.ClientPayloadError(str(answer.get("detail")))
                    raise RequestRefused(self.base_url + path, int(answer.get("status", 0)), answer)
            if len(answers) != len(lines):
                raise aiohttp.ClientPayloadError(f"{len(answers)} answers to {len(lines)} lines")
            return answers

        return await self._patiently("POST", path, read, data=encoded, headers=headers)

    async def _document(self, method: str, path: str, **options: Any) -> Json:
        return await self._patiently(
            method, path, lambda content: msgspec.json.decode(content, type=Json), **options
        )

    async def _patiently(
        self, method: str, path: str, read: Callable[[bytes], Answer], **options: Any
    ) -> Answer:
        """Sends until there is an answer that sending again would not change."""
        if self._session is None:
            raise RuntimeError("an ApiClient is used inside `async with`")
        url = self.base_url + path
        began_at, pause_s, last = time.monotonic(), self._first_pause_s, "nothing"
        while True:
            try:
                async with self._session.request(method, url, **options) as answer:
                    content = await answer.read()
                    if answer.status < 400:
                        return read(content)
                    if answer.status not in PASSING_STATUSES and answer.status != 409:
                        raise RequestRefused(url, answer.status, _problem(content))
                    last = f"{answer.status} {_problem(content).get('detail', '')}"
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as failure:
                last = f"{type(failure).__name__}: {failure}"
            waited_s = time.monotonic() - began_at
            if waited_s > self._patience_s:
                raise ServiceUnreachable(url, waited_s, last)
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.6, LONGEST_PAUSE_S)


def _problem(content: bytes) -> Json:
    try:
        return msgspec.json.decode(content, type=Json)
    except msgspec.DecodeError:
        return {"detail": content[:200].decode(errors="replace")}
