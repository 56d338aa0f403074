"""Describe values by their content, in the same way in every process.

A value that cannot be described so counts as everything that was loaded.
"""

from __future__ import annotations

import hashlib
import json
import sys
import types
from collections import defaultdict, deque
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from caudal.declarations.location import Location
from caudal.declarations.node import Table
from caudal.declarations.product import Product
from caudal.graph.modules import is_user_file

_PLAIN = (type(None), bool, int, float, complex, type(Ellipsis), type(NotImplemented), range)
_STATELESS = ("_thread", "weakref", "_weakref", "_weakrefset")


class Values:
    """Describes values; functions, classes and modules in them are collected by `caudal.graph.reach.Reach`."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._libraries: set[str] = set()
        self._counts_everything = False  # whether a value was found that cannot be described
        self._marks: dict[int, int] = {}
        self._alive: list[object] = []

    def value(self, value: object) -> object:
        """Return a JSON-ready description of a value, the same in every process; code in it is collected."""
        try:
            return self._value(value)
        except Exception:  # reading an object's attributes can raise anything
            return self._opaque(value)

    def library(self, module: str | None) -> None:
        """Record that a library is used."""
        top = (module or "").partition(".")[0]
        if top and top not in ("caudal", "builtins", "__main__") and top not in sys.stdlib_module_names:
            self._libraries.add(top)

    def _function(self, function: types.FunctionType) -> str:
        raise NotImplementedError

    def _class(self, kind: type) -> str:
        raise NotImplementedError

    def _module(self, module: types.ModuleType) -> str:
        raise NotImplementedError

    def _code_object(self, code: types.CodeType) -> object:
        constants = [
            self._code_object(constant) if isinstance(constant, types.CodeType) else self._isolated(constant)
            for constant in code.co_consts
        ]
        return [code.co_code.hex(), constants, [*code.co_names], [*code.co_varnames], [*code.co_freevars], code.co_flags]

    def _value(self, value: object) -> object:
        kind = type(value)
        if isinstance(value, str) and kind is str:
            return value.replace(str(self._root), "<product>")
        if kind in _PLAIN:
            return [kind.__name__, repr(value)]
        if isinstance(value, bytes | bytearray | memoryview) and kind in (bytes, bytearray, memoryview):
            return [kind.__name__, hashlib.sha256(value).hexdigest()]
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if id(value) in self._marks:
            return f"#{self._marks[id(value)]}"
        self._marks[id(value)] = len(self._marks)
        self._alive.append(value)
        return self._callable(value) or self._container(value) or self._instance(value)

    def _callable(self, value: object) -> object:
        if isinstance(value, types.MethodType):
            return ["method", self._value(value.__func__), self._value(value.__self__)]
        if isinstance(value, types.BuiltinFunctionType):
            owner = value.__self__
            self.library(value.__module__)
            bound = None if owner is None or isinstance(owner, types.ModuleType) else self._value(owner)
            return ["builtin", value.__module__, value.__qualname__, bound]
        if isinstance(value, staticmethod | classmethod):
            return [type(value).__name__, self._value(value.__func__)]
        if isinstance(value, property):
            return ["property", [self._value(part) for part in (value.fget, value.fset, value.fdel)]]
        if isinstance(value, types.CodeType):
            return ["code", self._code_object(value)]
        if type(value).__module__ == "functools" and (wrapped := getattr(value, "__wrapped__", None)) is not None:
            return ["wrapped", type(value).__name__, self._value(wrapped)]
        if type(value).__name__ == "UserDefinedFunction" and type(value).__module__.startswith("pyspark."):
            self.library("pyspark")
            return self._spark_function(value)
        return None

    def _spark_function(self, value: Any) -> object:
        return ["udf", self._value(value.func), str(value._returnType), value.evalType, value.deterministic]

    def _container(self, value: object) -> object:
        name = type(value).__name__
        if isinstance(value, list | tuple | deque) and type(value) in (list, tuple, deque):
            return [name, *map(self._value, value)]
        if isinstance(value, types.MappingProxyType) or (isinstance(value, dict) and type(value) in (dict, defaultdict)):
            factory = [self._value(value.default_factory)] if isinstance(value, defaultdict) else []
            return [name, *([self._value(key), self._value(item)] for key, item in value.items()), *factory]
        if isinstance(value, set | frozenset) and type(value) in (set, frozenset):
            return [name, *sorted(json.dumps(self._isolated(item)) for item in value)]
        return None

    def _isolated(self, value: object) -> object:
        """Return the description of a set's member without references to other values: the order of sets differs between processes."""
        before, self._marks = self._marks, {}
        try:
            return self._value(value)
        finally:
            self._marks = before

    def _instance(self, value: object) -> object:
        module = type(value).__module__ or ""
        if isinstance(value, Location | Product):
            return type(value).__name__
        if isinstance(value, Table):
            return ["table", value.name]
        if module in _STATELESS:
            return ["stateless", type(value).__name__]
        if module == "logging":
            return ["logger", getattr(value, "name", None)]
        if module.startswith("pyspark.sql") and type(value).__name__ == "Column":
            self._counts_everything = True  # its text does not show the functions in it
            return ["column", str(value)]
        if hasattr(type(value), "extractParamMap"):
            return self._spark_estimator(value)
        if module.startswith("caudal."):
            return self._caudal_object(value)
        named = self._value(type(value))
        if is_user_file(file_of(type(value))):
            return ["object", named, self._state(value), self._contents(value)]
        return self._reduced(value, named)

    def _caudal_object(self, value: object) -> object:
        """Return the description of an object of caudal: its fields, or its ``repr``, which never contains a secret."""
        if is_dataclass(value):
            described = [field.name for field in fields(value) if field.metadata.get("described", True)]
            return [type(value).__name__, [[name, self._value(getattr(value, name))] for name in described]]
        text = repr(value)
        return type(value).__name__ if " at 0x" in text else text

    def _state(self, value: object) -> object:
        slots = (name for base in type(value).__mro__ for name in _slots(base))
        attributes = {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})
        return [[name, self._value(part)] for name, part in attributes.items() if name not in ("__dict__", "__weakref__")]

    def _contents(self, value: object) -> object:
        """Return the items of a container of a user's class, or the plain value of a subclass of a number, string or bytes."""
        if isinstance(value, dict):
            return self._isolated(dict(dict.items(value)))
        if isinstance(value, list | tuple):
            return self._isolated([*(list.__iter__(value) if isinstance(value, list) else tuple.__iter__(value))])
        if isinstance(value, set | frozenset):
            return self._isolated(frozenset(value))
        for plain in (int, float, str, bytes):
            if isinstance(value, plain):
                return plain.__repr__(value)
        return None

    def _reduced(self, value: object, named: object) -> object:
        """Return the description of a library's object: what pickle would store."""
        try:
            stored = value.__reduce_ex__(4)
        except Exception:  # an open file, an iterator: its content is not accessible
            return self._opaque(value)
        if isinstance(stored, str):
            return ["global", named, stored]
        make, arguments, state, items, pairs = (*stored, None, None, None)[:5]
        self._alive.append(stored)
        parts = [make, arguments, state, list(items) if items is not None else None, list(pairs) if pairs is not None else None]
        return ["object", named, *map(self._value, parts)]

    def _spark_estimator(self, value: Any) -> object:
        stages = value.getStages() if hasattr(value, "getStages") else ()
        params = {param.name: param_value for param, param_value in value.extractParamMap().items() if param.name != "stages"}
        return [
            "spark",
            self._value(type(value)),
            [[name, self._value(params[name])] for name in sorted(params)],
            [*map(self._value, stages)],
        ]

    def _opaque(self, value: object) -> object:
        self._counts_everything = True
        return ["opaque", f"{type(value).__module__}.{type(value).__qualname__}"]

    def _described(self, value: object) -> object:
        before, self._marks = self._marks, {}
        try:
            return self.value(value)
        finally:
            self._marks = before


def file_of(kind: type) -> str | None:
    return getattr(sys.modules.get(kind.__module__), "__file__", None)


def _slots(base: type) -> tuple[str, ...]:
    slots = vars(base).get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)
