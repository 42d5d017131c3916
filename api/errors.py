"""Refusals and failures that callers see: typed, with a stable code and the values that explain them.

At the edge each becomes an `application/problem+json` document (RFC 9457). A contract's custom error, the
policy's refusal and the API's code are the same word.
"""

from __future__ import annotations

import logging
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse

logger = logging.getLogger(__name__)

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"

_HTTP_CODES: Final[dict[int, tuple[str, str]]] = {
    400: ("MalformedRequest", "The request cannot be read."),
    401: ("Unauthenticated", "Send a valid API key as a bearer token."),
    403: ("Forbidden", "This caller may not do that."),
    404: ("NotFound", "There is nothing at this address."),
    405: ("MethodNotAllowed", "This address does not take that method."),
    406: ("NotAcceptable", "No representation that the caller accepts exists."),
    413: ("ContentTooLarge", "The request's body is too large."),
    415: ("UnsupportedMediaType", "The request's content type is not the one that this address takes."),
    429: ("TooManyRequests", "Too many requests: slow down and try again."),
}
_RESERVED: Final = frozenset({"type", "title", "status", "detail", "instance", "code"})


class FlorinError(Exception):
    """A refusal or failure with a stable word for machines and a plain sentence for people.

    `code` is PascalCase and never changes meaning; `status` is the HTTP status; `sentence` tells the
    caller what to do; `values` explain it and become members of the problem document.
    """

    def __init__(self, code: str, status: int, sentence: str, **values: Any) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.status = status
        self.sentence = sentence
        self.values = values


class MalformedRequest(FlorinError):
    """A request that cannot be read. `fields` lists each place that is wrong as `{field, problem}`."""

    def __init__(self, sentence: str, fields: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__("MalformedRequest", 400, sentence, fields=list(fields))


class UnknownField(FlorinError):
    """A request with a field that its schema does not know: a typing error must not pass silently."""

    def __init__(self, field: str, fields: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(
            "UnknownField", 400, f"The field {field!r} is not known.", field=field, fields=list(fields)
        )


class UnsupportedMediaType(FlorinError):
    """A body in another form than the one that its route reads."""

    def __init__(self, expected: str) -> None:
        sentence = f"Send the body as {expected}, and say so in Content-Type."
        super().__init__("UnsupportedMediaType", 415, sentence, expected=expected)


class NotFound(FlorinError):
    """An object that does not exist for this caller; another's object looks the same."""

    def __init__(self, what: str) -> None:
        super().__init__("NotFound", 404, f"There is no such {what}.")


class DatabaseUnavailable(FlorinError):
    """The database did not answer. Nothing may be concluded about the request: send it again with its key."""

    def __init__(self) -> None:
        super().__init__(
            "DatabaseUnavailable",
            503,
            "The books are not reachable at the moment: send the same request again.",
        )


def title_of(code: str) -> str:
    """A code as words: `InsufficientFunds` -> `Insufficient funds`."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]*|[a-z0-9]+", code)
    first, *rest = [word if len(word) > 1 and word.isupper() else word.lower() for word in words] or [code]
    return " ".join([first[:1].upper() + first[1:], *rest])


def problem(error: FlorinError) -> dict[str, Any]:
    """The RFC 9457 document of an error; `code` and the error's values are its extension members."""
    extensions = {name: value for name, value in error.values.items() if name not in _RESERVED}
    return {
        "type": f"/problems/{error.code}",
        "title": title_of(error.code),
        "status": error.status,
        "detail": error.sentence,
        "code": error.code,
        **extensions,
    }


def problem_response(error: FlorinError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The problem document as an HTTP answer; a refusal that passes by itself says when to come back."""
    from fastapi.responses import JSONResponse

    sent = dict(headers or {})
    if error.status in {429, 503}:
        sent.setdefault("Retry-After", str(error.values.get("retry_after_s", 1)))
    if error.status == 401:
        sent.setdefault("WWW-Authenticate", "Bearer")
    return JSONResponse(problem(error), status_code=error.status, headers=sent, media_type=PROBLEM_MEDIA_TYPE)


def validation_error(found: Sequence[Mapping[str, Any]]) -> FlorinError:
    """What pydantic found (its `errors()`), as `UnknownField` or `MalformedRequest` naming each field.

    The rejected values are not repeated: they may be secrets.
    """
    fields = [{"field": _path_of(item), "problem": _problem_of(item)} for item in found]
    for item, named in zip(found, fields, strict=True):
        if item["type"] == "extra_forbidden":
            return UnknownField(named["field"], fields)
    listed = "; ".join(f"{named['field']}: {named['problem']}" for named in fields)
    return MalformedRequest(f"The request is not well formed: {listed}.", fields)


def _path_of(item: Mapping[str, Any]) -> str:
    """Where pydantic found it, without the outer `body`, `query` or `path` when something follows."""
    if item["type"] == "json_invalid":
        return "body"  # what follows there is a position in the text
    parts = [str(part) for part in item["loc"]]
    if len(parts) > 1 and parts[0] in {"body", "query", "path", "header"}:
        parts = parts[1:]
    return ".".join(parts)


def _problem_of(item: Mapping[str, Any]) -> str:
    """What pydantic found, without the regular expression that found it."""
    if item["type"] == "string_pattern_mismatch":
        return "It is blank, or holds a character that it may not hold"
    return str(item["msg"])


def install_error_handlers(
    app: FastAPI, refusal_of: Callable[[Sequence[Mapping[str, Any]]], FlorinError] = validation_error
) -> None:
    """Make every refusal and failure of `app` answer as a problem document; a 500 reveals nothing inside.

    `refusal_of` turns what pydantic found in a request into the refusal that names it.
    """
    import asyncpg
    from fastapi.exceptions import RequestValidationError
    from starlette.exceptions import HTTPException

    async def on_florin_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, FlorinError)
        return problem_response(error)

    async def on_validation_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        return problem_response(refusal_of(error.errors()))

    async def on_http_error(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        return problem_response(http_refusal(error.status_code), error.headers)

    async def on_failure(request: Request, error: Exception) -> JSONResponse:
        return problem_response(failure_of(request, error))

    app.add_exception_handler(FlorinError, on_florin_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)
    for perhaps_unreachable in (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        app.add_exception_handler(perhaps_unreachable, on_failure)
    app.add_exception_handler(Exception, on_failure)


def http_refusal(status: int) -> FlorinError:
    """What the framework refuses by a bare status, such as a path that does not exist."""
    code, sentence = _HTTP_CODES.get(status, ("RequestRefused", "The request was refused."))
    return FlorinError(code, status, sentence)


def failure_of(request: Request, error: Exception) -> FlorinError:
    """An exception that nobody foresaw, logged; the caller learns the number under which it is in the log."""
    if _is_of_the_database(error):
        logger.warning("the database is not reachable: %s", error)
        return DatabaseUnavailable()
    incident = str(uuid.uuid4())
    logger.error("incident %s: %s %s", incident, request.method, request.url.path, exc_info=error)
    sentence = "Something failed on our side: tell us the incident number."
    return FlorinError("InternalError", 500, sentence, incident=incident)


def _is_of_the_database(error: Exception) -> bool:
    """Whether the error means that the server is away, rather than that we asked it something wrong."""
    import asyncpg

    if isinstance(error, asyncpg.PostgresError):
        # 08: connection exception, 53: insufficient resources, 57P: operator intervention
        return str(error.sqlstate or "").startswith(("08", "53", "57P"))
    if isinstance(error, asyncpg.InterfaceError):
        return "closed" in str(error)
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").startswith("asyncpg."):
            return True
        trace = trace.tb_next
    return False
