"""Bulk requests: JSON lines in, JSON lines out, in order, decided in chunks while the request still arrives.

Reading never waits for the caller to read answers, so a client that sends everything before it reads anything
cannot block itself; what is held back is bounded by the number of lines that a request may have.
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any, Final, Generic, NamedTuple, TypeVar

import msgspec
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.responses import Response

from api.errors import DatabaseUnavailable, FlorinError, UnsupportedMediaType, problem
from api.fields import refusal_of, refuse_duplicate_fields

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

MEDIA_TYPE: Final = "application/x-ndjson"
CHUNK_LINES: Final = 500
MAX_LINE_BYTES: Final = 16 * 1024
MAX_LINES: Final = 100_000

logger = logging.getLogger(__name__)

Line = TypeVar("Line", bound=BaseModel)


class _Text(NamedTuple):
    """A line as it came, counted from 1 with the empty ones; None stands for one that is too long."""

    number: int
    text: bytes | None


class LineTooLong(FlorinError):
    """One line of a bulk request is longer than any well-formed one can be."""

    def __init__(self) -> None:
        super().__init__("LineTooLong", 413, f"A line has at most {MAX_LINE_BYTES} bytes.")


class TooManyLines(FlorinError):
    """A bulk request with more lines than one may have. Those before are answered, and stay as they are."""

    def __init__(self) -> None:
        sentence = f"A request has at most {MAX_LINES} lines: send this one and those after it in another."
        super().__init__("TooManyLines", 413, sentence)


def error_line(error: FlorinError, reference: str | None, line: int) -> dict[str, Any]:
    """The answer to a line that changed nothing and recorded nothing: mend it and send it again."""
    return {"reference": reference, "state": "error", "line": line, **problem(error)}


class BulkExchange(Response, Generic[Line]):
    """The answer to one `:bulk` request, as an ASGI application.

    `decide` takes up to `CHUNK_LINES` well-formed lines and returns one answer for each, in order; it acts in
    one database transaction, and is safe to repeat. A malformed line is answered in its place, and `decide`
    never sees it. Raises `UnsupportedMediaType` unless the request says that it is JSON lines.
    """

    def __init__(
        self,
        request: Request,
        line_type: type[Line],
        decide: Callable[[Sequence[Line]], Awaitable[Sequence[dict[str, Any] | FlorinError]]],
    ) -> None:
        _require_ndjson(request)
        super().__init__(media_type=MEDIA_TYPE)
        self._request = request
        self._adapter = TypeAdapter(line_type)
        self._decide = decide
        self._encode = msgspec.json.Encoder().encode

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        answers: asyncio.Queue[bytes | None] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._work(answers))
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")],
                }
            )
            while (answer := await answers.get()) is not None:
                await send({"type": "http.response.body", "body": answer, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _work(self, answers: asyncio.Queue[bytes | None]) -> None:
        """Decide chunk after chunk. A failure of ours ends the stream with a last error line."""
        first_line = 1
        try:
            async for chunk in _chunks_of(self._request.stream()):
                first_line = chunk[0].number
                answers.put_nowait(await self._answer(chunk))
                first_line = chunk[-1].number + 1
        except FlorinError as error:
            answers.put_nowait(self._encode(error_line(error, None, first_line)) + b"\n")
        except Exception:
            logger.exception("a bulk request failed at line %d", first_line)
            sentence = "Something failed on our side: send this line and those after it again."
            failure = FlorinError("InternalError", 500, sentence)
            answers.put_nowait(self._encode(error_line(failure, None, first_line)) + b"\n")
        finally:
            answers.put_nowait(None)

    async def _answer(self, chunk: Sequence[_Text]) -> bytes:
        answers: list[dict[str, Any] | None] = []
        lines: list[Line] = []
        for number, text in chunk:
            line = self._parse(text)
            if isinstance(line, FlorinError):
                answers.append(error_line(line, _reference_in(text), number))
            else:
                lines.append(line)
                answers.append(None)
        decided = iter(zip(lines, await self._outcomes(lines), strict=True))
        encoded = bytearray()
        for (number, _), answer in zip(chunk, answers, strict=True):
            given = answer
            if given is None:
                line, outcome = next(decided)
                reference: str = line.reference  # type: ignore[attr-defined]  # every bulk line has one
                given = (
                    error_line(outcome, reference, number) if isinstance(outcome, FlorinError) else outcome
                )
            encoded += self._encode(given) + b"\n"
        return bytes(encoded)

    async def _outcomes(self, lines: Sequence[Line]) -> Sequence[dict[str, Any] | FlorinError]:
        """A refusal of the whole chunk is the answer to each of its lines: nothing of it was recorded.

        Raises `DatabaseUnavailable`, after which that is not known.
        """
        try:
            return await self._decide(lines) if lines else ()
        except DatabaseUnavailable:
            raise
        except FlorinError as refusal:
            return [refusal] * len(lines)

    def _parse(self, text: bytes | None) -> Line | FlorinError:
        if text is None:
            return LineTooLong()
        try:
            refuse_duplicate_fields(text)
            return self._adapter.validate_json(text)
        except FlorinError as error:
            return error
        except ValidationError as error:
            return refusal_of(error.errors(include_input=False, include_context=False, include_url=False))


def _reference_in(text: bytes | None) -> str | None:
    """The reference of a malformed line, where one can be made out."""
    try:
        value = json.loads(text or b"")
    except (ValueError, RecursionError):
        return None
    reference = value.get("reference") if isinstance(value, dict) else None
    return reference[:100] if isinstance(reference, str) and reference.isprintable() else None


async def _chunks_of(stream: AsyncIterator[bytes]) -> AsyncIterator[list[_Text]]:
    """The request's lines that are not empty, up to `CHUNK_LINES` together. Raises `TooManyLines`."""
    pending = bytearray()
    is_skipping = False
    number = 0
    lines: list[_Text] = []
    async for piece in stream:
        pending += piece
        *whole, rest = bytes(pending).split(b"\n")
        pending = bytearray(rest)
        for text in whole:
            number += 1
            if number > MAX_LINES:
                if lines:
                    yield lines
                raise TooManyLines
            if is_skipping:
                is_skipping = False
                continue
            if text.strip():
                lines.append(_Text(number, text if len(text) <= MAX_LINE_BYTES else None))
            if len(lines) >= CHUNK_LINES:
                yield lines
                lines = []
        if len(pending) > MAX_LINE_BYTES:
            if not is_skipping:
                lines.append(_Text(number + 1, None))
            if len(lines) >= CHUNK_LINES:
                yield lines
                lines = []
            is_skipping = True
            pending.clear()
    if pending.strip() and not is_skipping:
        lines.append(_Text(number + 1, bytes(pending)))
    if lines:
        yield lines


def bulk_openapi(line: type[BaseModel], answer: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says about a `:bulk` route: the schema of one line, in and out."""
    described = (
        "One JSON object a line; a line that changed nothing is answered with `state: error` and its problem."
    )

    def content(model: type[BaseModel]) -> dict[str, Any]:
        return {MEDIA_TYPE: {"schema": model.model_json_schema(ref_template="#/components/schemas/{model}")}}

    return {
        "requestBody": {"required": True, "description": described, "content": content(line)},
        "responses": {"200": {"description": described, "content": content(answer)}},
    }


def _require_ndjson(request: Request) -> None:
    """Raise unless the body says that it is JSON lines."""
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind not in {MEDIA_TYPE, "application/jsonl", "application/ndjson"}:
        raise UnsupportedMediaType(f"{MEDIA_TYPE}, one JSON object a line")
