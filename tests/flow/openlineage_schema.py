"""OpenLineage's schema as its own client has it: its classes are generated from the specification. Made into JSON Schema, closed and complete."""

from __future__ import annotations

import importlib
import pkgutil
import types
import typing
from enum import Enum
from functools import cache

import attr
import jsonschema
from openlineage.client import event_v2
from openlineage.client.generated import base

from openlineage.client import generated  # isort: skip

FORMATS = {
    "eventTime": "date-time",
    "runId": "uuid",
    "producer": "uri",
    "schemaURL": "uri",
    "_producer": "uri",
    "_schemaURL": "uri",
}


@cache
def facets() -> dict[str, type]:
    """Return the facet classes by their name in ``_schemaURL``."""
    modules = [importlib.import_module(f"{generated.__name__}.{one.name}") for one in pkgutil.iter_modules(generated.__path__)]
    classes = [one for module in modules for one in vars(module).values() if isinstance(one, type)]
    return {one.__name__: one for one in classes if issubclass(one, base.BaseFacet)}


def check(event: dict) -> None:
    """Fail unless an event and each of its facets are valid."""
    _valid(event, event_v2.RunEvent)
    places = [event["run"], event["job"], *event.get("inputs", []), *event.get("outputs", [])]
    for place in places:
        for held in ("facets", "inputFacets", "outputFacets"):
            for facet in place.get(held, {}).values():
                _valid(facet, facets()[facet["_schemaURL"].rpartition("/")[2]])


def _valid(document: dict, kind: type) -> None:
    validator = jsonschema.Draft202012Validator(_schema(kind), format_checker=jsonschema.FormatChecker())
    errors = [f"{kind.__name__}{error.json_path}: {error.message}" for error in validator.iter_errors(document)]
    assert not errors, errors


@cache
def _schema(kind: type) -> dict:
    """Return a class as JSON Schema; classes that it holds stand among its definitions."""
    held: dict[str, dict] = {}
    whole = _object(kind, held)
    return {**whole, "$defs": held}


def _object(kind: type, held: dict[str, dict]) -> dict:
    hints = typing.get_type_hints(kind, {**vars(base), **vars(importlib.import_module(kind.__module__))})
    properties, required = {}, []
    for one in attr.fields(kind):
        properties[one.name] = {"type": "object"} if "acets" in one.name else _of(hints[one.name], held)
        if one.default is attr.NOTHING or one.name in FORMATS:
            required.append(one.name)
    properties |= {name: {"type": "string", "format": FORMATS[name]} for name in properties.keys() & FORMATS.keys()}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _of(hint: object, held: dict[str, dict]) -> dict:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of(one, held) for one in arguments if one is not type(None)]}
    if origin is list:
        return {"type": "array", "items": _of(arguments[0], held)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1], held)}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [one.value for one in hint]}
    if isinstance(hint, type) and attr.has(hint):
        if hint.__qualname__ not in held:
            held[hint.__qualname__] = {}
            held[hint.__qualname__] = _object(hint, held)
        return {"$ref": f"#/$defs/{hint.__qualname__}"}
    return {} if hint is typing.Any else {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[hint]}
