"""Fingerprints: same code, same parameters, same input versions — same result, so no work.

A function's fingerprint covers its own code and that of every function, class and constant of the user's own modules that it
reaches. Comments, docstrings and layout do not count.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import inspect
import json
import sys
import sysconfig
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from caudal.spec.join import Join
from caudal.spec.location import Location
from caudal.spec.model import Model
from caudal.spec.node import Node, Source, Table
from caudal.spec.star import Star
from caudal.spec.warehouse import Publication

FORMAT = "1"  # raised when caudal itself computes a step differently, so that every step runs again


def digest(*parts: object) -> str:
    """Return the hash of some JSON-ready parts.

    Examples
    --------
    >>> digest("a", {"b": 1}) == digest("a", {"b": 1}), digest("a") == digest("b")
    (True, False)
    """
    return hashlib.sha256(json.dumps([FORMAT, *parts], sort_keys=True, default=str).encode()).hexdigest()


def code_of(node: Node | Model | Publication | Star) -> str:
    """Return the fingerprint of a declaration: its code and its parameters, without its inputs' versions."""
    return digest(*_declared(node))


def code_in_zone(code: str, tz: str) -> str:
    """Return a fingerprint of code whose days and hours are those of a zone."""
    return code if tz == "UTC" else digest(code, tz)


def file_digest(paths: list[Path]) -> str:
    """Return the hash of some files' names and bytes."""
    sha = hashlib.sha256(FORMAT.encode())
    for path in sorted(paths):
        sha.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def _declared(node: Node | Model | Publication | Star) -> list[object]:
    if isinstance(node, Publication | Star):
        return ["publish", describe(node)]
    if isinstance(node, Source):
        return [
            "source", node.name, node.connection.kind, describe(node.connection), describe(node.schema), node.event_time,
            node.partition, [[one.kind, describe(one.parameters())] for one in node.expect],
        ]  # fmt: skip
    if isinstance(node, Join):
        return [
            node.kind,
            node.name,
            list(node.inputs),
            list(node.on),
            node.within_s,
            node.how,
            describe(node.wanted),
            node.event_time,
            node.partition,
        ]
    if isinstance(node, Table):
        return [
            node.kind, node.name, list(node.inputs), function_digest(node.function) if node.function else node.sql, describe(node.schema),
            node.event_time, "file" if node.by_file else node.partition, node.lookback_s, dict(node.known),
            [[one.kind, describe(one.parameters())] for one in node.expect],
            [getattr(node, name, None) for name in ("entity", "as_of", "labels", "keep")],
        ]  # fmt: skip
    return [
        "model", node.name, node.features, node.label, node.horizon_s, {name: estimator_digest(one) for name, one in node.candidates.items()},
        describe(node.split), node.metric, [[gate.kind, describe(gate)] for gate in node.gates], node.task, list(node.group_by),
        node.max_rows, node.seed, describe(node.holdout),
    ]  # fmt: skip


def describe(value: object) -> object:
    """Return a JSON-ready description of a declared value that is the same in every process."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Location):
        return None
    if isinstance(value, FunctionType):
        return function_digest(value)
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, {one.name: describe(getattr(value, one.name)) for one in fields(value)}]
    if isinstance(value, Mapping):
        return {str(key): describe(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [describe(one) for one in value]
    if isinstance(value, set | frozenset):
        return sorted(str(describe(one)) for one in value)
    if isinstance(value, type):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "get_params") or hasattr(value, "extractParamMap"):
        return estimator_digest(value)
    text = repr(value)
    # A repr with an address differs in every process; the type is then all that can be said.
    return f"{type(value).__module__}.{type(value).__qualname__}" if " at 0x" in text else text


def estimator_digest(estimator: Any) -> object:
    """Return what identifies an untrained estimator: its class and parameters; of a function that makes one, its code."""
    if isinstance(estimator, FunctionType):
        return function_digest(estimator)
    if isinstance(estimator, type):
        return f"{estimator.__module__}.{estimator.__qualname__}"
    name = f"{type(estimator).__module__}.{type(estimator).__qualname__}"
    if hasattr(estimator, "get_params") and not isinstance(estimator, type):
        return [name, {key: describe(value) for key, value in sorted(estimator.get_params(deep=False).items())}]
    if hasattr(estimator, "extractParamMap"):
        told = {param.name: describe(value) for param, value in estimator.extractParamMap().items() if param.name != "stages"}
        return [
            name,
            dict(sorted(told.items())),
            [estimator_digest(one) for one in estimator.getStages()] if hasattr(estimator, "getStages") else None,
        ]
    return name


def function_digest(function: Callable[..., Any]) -> str:
    """Return the fingerprint of a function and of all that it reaches in the user's own modules."""
    seen: dict[str, object] = {}
    _reach(function, seen)
    return digest(dict(sorted(seen.items())))


def _reach(function: Any, seen: dict[str, object]) -> None:
    key = f"{function.__module__}.{function.__qualname__}"
    if key in seen:
        return
    seen[key] = _source(function)
    for cell in getattr(function, "__closure__", None) or ():
        try:
            _value(f"{key}.<cell>", cell.cell_contents, seen)
        except ValueError:  # an empty cell
            continue
    for name, default in zip("d" * 99, (function.__defaults__ or ()), strict=False):
        _value(f"{key}.{name}", default, seen)
    for constant in sorted(_models(function.__code__)):
        path = Path(function.__code__.co_filename).parent / constant
        if path.is_file():  # a network that the function names by its path: its weights count
            seen[f"{key}.{constant}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    for name in sorted(_names(function.__code__)):
        if name in function.__globals__ and not hasattr(builtins, name):
            _value(f"{function.__module__}.{name}", function.__globals__[name], seen)


def _value(key: str, value: object, seen: dict[str, object]) -> None:
    if isinstance(value, FunctionType):
        if _own(value.__module__):
            _reach(value, seen)
        return
    if isinstance(value, type):
        if _own(value.__module__) and key not in seen:
            seen[key] = _source(value)
            for member in vars(value).values():
                if isinstance(member, FunctionType):
                    _reach(member, seen)
        return
    if isinstance(value, ModuleType):
        if _own(value.__name__) and (file := getattr(value, "__file__", None)) and key not in seen:
            seen[key] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
        return
    if type(value).__module__ == "caudal.spec.product":
        return
    seen.setdefault(key, describe(value))


def _models(code: CodeType) -> set[str]:
    found = {one for one in code.co_consts if isinstance(one, str) and one.endswith(".onnx")}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _models(constant)
    return found


def _names(code: CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _source(thing: Any) -> str:
    """Return the syntax tree of a function or class without docstrings, or its bytecode where the source is not to be had."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(thing)))
    except (OSError, TypeError, SyntaxError):  # typed at a prompt, or a lambda in the middle of an expression
        code = getattr(thing, "__code__", None)
        return (
            repr(thing) if code is None else f"{code.co_code.hex()} {[c for c in code.co_consts if not isinstance(c, CodeType)]!r}"
        )
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
            node.decorator_list = []  # the declaration's options are counted by themselves
    return ast.dump(tree, annotate_fields=False)


def _own(module: str | None) -> bool:
    """Is this a module of the user's, not of Python, caudal or an installed package?"""
    if module is None or module.partition(".")[0] in ("caudal", "builtins"):
        return False
    loaded = sys.modules.get(module)
    file = getattr(loaded, "__file__", None)
    if file is None:
        return module == "__main__" or module.startswith("caudal_product_")
    places = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    return not any(place and str(Path(file).resolve()).startswith(str(Path(place).resolve())) for place in places)
