"""Reading a policy file: YAML with one meaning only, and an error that names the rule, the field and what is
allowed there.

A source may come over the wire and is read before anybody approved it, so what could be read in two ways or
be made to cost much is refused: repeated keys, anchors and aliases, merge keys, tags, octal and sexagesimal
numbers, deep nesting, more than 64 KiB.
"""

import re
from collections.abc import Callable, Hashable
from typing import Any

import msgspec
import yaml
from msgspec import inspect

from wallet_node.errors import MalformedPolicy
from wallet_node.policy.file import PolicyFile

LARGEST_POLICY_BYTES = 64 * 1024
DEEPEST_NESTING = 20
"""Collections within collections; no field of a policy is so deep."""
_PLACE = re.compile(r"\A(?P<problem>.*?)(?: - at `\$(?P<path>.*)`)?\Z", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(\d+|\.\.\.)\]")
_INTEGER = re.compile(r"\A-?(?:0|[1-9][0-9_]*)\Z")


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses what YAML would silently settle by itself."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise MalformedPolicy(f"line {event.start_mark.line + 1}: anchors and aliases are not allowed")
        if self._depth > DEEPEST_NESTING:
            raise MalformedPolicy("the policy is not acceptable YAML: it is nested too deeply")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                raise MalformedPolicy(f"line {line}: a field's name is plain text")
            if key_node.value in seen:
                raise MalformedPolicy(f"line {line}: the field {key_node.value!r} is there twice")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)

    def construct_plain_integer(self, node: yaml.ScalarNode) -> int:
        """100 or 1_000; 0100, 0x10 and 1:30 mean other numbers to other readers."""
        if not _INTEGER.match(node.value):
            line = node.start_mark.line + 1
            raise MalformedPolicy(f"line {line}: {node.value!r} is not a plain decimal integer")
        return int(node.value)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_plain_integer)


def read_document(source: bytes) -> dict[str, Any]:
    """The YAML mapping that `source` is. Raises MalformedPolicy."""
    if len(source) > LARGEST_POLICY_BYTES:
        raise MalformedPolicy(f"a policy has at most {LARGEST_POLICY_BYTES} bytes")
    load: Callable[[bytes, Any], Any] = yaml.load
    try:
        document = load(source, _StrictLoader)
    except (yaml.YAMLError, ValueError) as error:
        raise MalformedPolicy(f"the policy is not acceptable YAML: {error}") from None
    if not isinstance(document, dict):
        raise MalformedPolicy(f"a policy is a mapping of fields: {_fields_of(PolicyFile)}")
    return document


def read_policy_file(source: bytes) -> PolicyFile:
    """The file with every field checked. Raises MalformedPolicy: the rule, the field, what is allowed."""
    document = read_document(source)
    try:
        return msgspec.convert(document, PolicyFile, strict=True)
    except msgspec.ValidationError as error:
        raise MalformedPolicy(_explained(str(error), document)) from None


def _explained(message: str, document: dict[str, Any]) -> str:
    match = _PLACE.match(message)
    assert match is not None
    problem, steps = match["problem"], _STEP.findall(match["path"] or "")
    kind: inspect.Type = inspect.type_info(PolicyFile)
    where: list[str] = []
    value: Any = document
    for name, position in steps:
        if name:
            where.append(f"field {name!r}")
            kind, value = _field(kind, name), value.get(name) if isinstance(value, dict) else None
        else:
            kind = _item(kind)
            is_listed = position.isdigit() and isinstance(value, list)
            value = value[int(position)] if is_listed else None
            called = value.get("name") if isinstance(value, dict) else None
            at = f"number {int(position) + 1}" if position.isdigit() else "one of them"
            where.append(f"{called!r} ({at})" if isinstance(called, str) else at)
    place = ", ".join(where) or "the policy"
    allowed = _allowed(kind)
    return f"{place}: {problem}" + (f"; allowed: {allowed}" if allowed else "")


def _field(kind: inspect.Type, name: str) -> inspect.Type:
    structure = _struct(kind)
    if structure is not None:
        for field in structure.fields:
            if field.encode_name == name:
                return field.type
    return inspect.AnyType()


def _item(kind: inspect.Type) -> inspect.Type:
    lists = [each for each in _choices(kind) if isinstance(each, inspect.VarTupleType)]
    return lists[0].item_type if lists else inspect.AnyType()


def _struct(kind: inspect.Type) -> inspect.StructType | None:
    return next((each for each in _choices(kind) if isinstance(each, inspect.StructType)), None)


def _choices(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(kind, inspect.Metadata):
        return _choices(kind.type)
    if isinstance(kind, inspect.UnionType):
        return tuple(choice for each in kind.types for choice in _choices(each))
    return (kind,)


def _allowed(kind: inspect.Type) -> str:
    return " or ".join(filter(None, (_allowed_one(choice) for choice in _choices(kind))))


def _allowed_one(kind: inspect.Type) -> str:
    match kind:
        case inspect.LiteralType(values=values):
            text = ", ".join(map(str, values))
        case inspect.IntType(ge=lowest, le=highest):
            text = f"an integer from {lowest} to {highest}"
        case inspect.StrType(pattern=pattern):
            like = (pattern or "").removeprefix(r"\A").removesuffix(r"\Z")
            text = f"text like {like}" if like else "text"
        case inspect.VarTupleType(item_type=item):
            text = f"a list of ({_allowed(item)})"
        case inspect.StructType(cls=cls):
            text = f"the fields {_fields_of(cls)}"
        case _:
            text = ""
    return text


def _fields_of(structure: type[msgspec.Struct]) -> str:
    return ", ".join(structure.__struct_encode_fields__)
