"""The description of the node's HTTP surface (OpenAPI 3.1), made from the routes and their structs."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Protocol

import msgspec

from wallet_node.callers import VERBS

_SCHEMA = "#/components/schemas/{name}"
_JSON, _PROBLEM = "application/json", "application/problem+json"
_REFUSALS = (400, 403, 404, 405, 408, 409, 413, 429, 431, 500, 503)
"""What any route may be refused with; each says its code and what to do."""
_MEANINGS = {
    202: "Nothing is signed or changed yet: officers have to approve it. Ask the same again.",
    400: "MalformedRequest: not what is described here. Any other code: of that form, and yet unusable in a"
    " way that no schema says, such as a public key that is no point, or parts that do not fit together.",
    403: "Not this caller's to ask, or refused by policy, proof or nonce: `reasons` has every reason.",
}


class Described(Protocol):
    """What a route says about itself."""

    @property
    def function(self) -> Callable[..., Any]: ...
    @property
    def takes(self) -> Any: ...
    @property
    def answers(self) -> Mapping[int, Any]: ...
    @property
    def content_type(self) -> str: ...


def describe(routes: Mapping[tuple[str, str], Described], problem: type) -> dict[str, Any]:
    """The whole document: a path item for each path, a component for each struct."""
    kinds: list[Any] = [problem]
    for route in routes.values():
        kinds += [kind for kind in (route.takes, *route.answers.values()) if kind is not None]
    found, components = msgspec.json.schema_components(kinds, ref_template=_SCHEMA)
    schemas = dict(zip(kinds, map(_portable, found), strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for (method, path), route in sorted(routes.items(), key=lambda item: item[0][::-1]):
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, route, schemas, problem)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Florin wallet node",
            "version": "1",
            "description": "On a Unix socket or over mTLS: the endpoint or the client certificate names the "
            "caller, whose verbs the policy lists. A request that is refused says a stable code.",
        },
        "paths": paths,
        "components": {"schemas": _portable(components)},
    }


def _operation(
    method: str, path: str, route: Described, schemas: Mapping[Any, Any], problem: type
) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for status in sorted({*_REFUSALS, *route.answers}):
        content = {_PROBLEM: {"schema": schemas[problem]}} if status in _REFUSALS else {}
        if status in route.answers:
            content[route.content_type] = {"schema": schemas[route.answers[status]]}
        means = _MEANINGS.get(status, HTTPStatus(status).phrase)
        answers[str(status)] = {"description": means, "content": content}
    verb = VERBS.get((method, path))
    operation: dict[str, Any] = {
        "operationId": f"{method.lower()}{path.translate(str.maketrans('/:.-', '____'))}",
        "summary": (route.function.__doc__ or "").strip().split("\n")[0],
        "description": "For every known caller." if verb is None else f"The caller needs the verb {verb}.",
        "responses": answers,
    }
    if named := re.findall(r"{(\w+)}", path):
        operation["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in named
        ]
    if route.takes is not None and method == "GET":
        operation["parameters"] = _parameters(route.takes)
    elif route.takes is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": schemas[route.takes]}}}
    return operation


def _parameters(takes: type) -> list[dict[str, Any]]:
    schema = _portable(msgspec.json.schema(takes))
    described = schema["$defs"][takes.__name__]
    return [
        {"name": name, "in": "query", "required": name in described.get("required", ()), "schema": one}
        for name, one in described["properties"].items()
    ]


def _portable(schema: Any) -> Any:
    """Python's anchors as JSON Schema's (ECMA-262), where $ matches at the very end only."""
    if isinstance(schema, dict):
        return {
            name: _anchored(part) if name == "pattern" and isinstance(part, str) else _portable(part)
            for name, part in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [_portable(part) for part in schema]
    return schema


def _anchored(pattern: str) -> str:
    return pattern.replace(r"\A", "^").replace(r"\Z", "$")
