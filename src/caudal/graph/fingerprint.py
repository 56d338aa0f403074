"""Fingerprints: same code, same parameters, same input versions — same result, so no work.

What cannot be shown to be unchanged has changed (ADR 16). A fingerprint is made of named parts, so that it can be told what changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FunctionType

from caudal.declarations.custom import CustomNode
from caudal.declarations.model import Model
from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication
from caudal.graph.loaded import Loaded
from caudal.graph.reach import Reach
from caudal.graph.registered import declared_nodes, kind_of

FORMAT = "2"  # raised when caudal itself computes a step differently, so that every step runs again

Declared = Node | Model | Publication | Star | CustomNode

_settled: dict[int, tuple[Declared, dict[str, str]]] = {}
_loaded: dict[int, tuple[Product, Loaded]] = {}


def digest(*parts: object) -> str:
    """Return the hash of some JSON-ready parts.

    Examples
    --------
    >>> digest("a", {"b": 1}) == digest("a", {"b": 1}), digest("a") == digest("b")
    (True, False)
    """
    return hashlib.sha256(json.dumps([FORMAT, *parts], sort_keys=True, default=str).encode()).hexdigest()


def code_of(node: Declared) -> str:
    """Return the fingerprint of a declaration: its code and its parameters, without its inputs' versions."""
    return digest(parts_of(node))


def code_of_rows(product: Product, node: Node) -> str:
    """Return the fingerprint of what gives a node its rows: its code and its parameters, without its expectations."""
    return digest(_parts(replace(node, expect=()), loaded_of(product)))


def parts_of(node: Declared) -> dict[str, str]:
    """Return what the fingerprint of a declaration is made of: the digest of each thing that counts, by name.

    Names begin with their kind: ``declaration``, ``code:``, ``module:``, ``value:``, ``file:``, ``folder:``, ``existence:``,
    ``variable:``, ``library:``.
    """
    known = _settled.get(id(node))
    return known[1] if known is not None and known[0] is node else _parts(node, None)


def describe(value: object) -> object:
    """Return a JSON-ready description of a declared value that is the same in every process; what is JSON-ready stays as it is."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): describe(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [describe(held) for held in value]
    return Reach(Loaded(Path(), Path("product.py")), None).value(value)


def function_digest(function: FunctionType) -> str:
    """Return the fingerprint of a function and of all that it reaches of the user's."""
    file = Path(function.__code__.co_filename)
    reach = Reach(Loaded(file.parent.resolve(), file), str(file))
    return digest(reach.value(function), reach.parts())


def settle(product: Product, loaded: Loaded) -> None:
    """Take the fingerprints of all that a product declares, before anything that it holds is changed by being used."""
    earlier = [key for key, (_, other) in _loaded.items() if other.file == loaded.file]
    for key in earlier:
        for node in declarations(_loaded.pop(key)[0]):
            _settled.pop(id(node), None)
    _loaded[id(product)] = (product, loaded)
    for node in declarations(product):
        _settled[id(node)] = (node, _parts(node, loaded))


def loaded_of(product: Product) -> Loaded | None:
    """Return what loading a product took; None of one that was not loaded from a folder."""
    known = _loaded.get(id(product))
    return known[1] if known is not None and known[0] is product else None


def declarations(product: Product) -> Iterable[Declared]:
    """Return all that a product declares and that has a fingerprint."""
    nodes = (node for node in declared_nodes(product) if any(step.fingerprinted for step in node.kind.steps))
    made_by = ((node, node.kind.made_by(product, node.declaration)) for node in nodes)
    return (declaration for node, declaration in made_by if declaration is not None and declaration is node.declaration)


def code_in_zone(code: str, tz: str) -> str:
    """Return a fingerprint of code whose days and hours are those of a zone."""
    return code if tz == "UTC" else digest(code, tz)


def file_digest(paths: list[Path]) -> str:
    """Return the hash of some files' names and bytes."""
    sha = hashlib.sha256(FORMAT.encode())
    for path in sorted(paths):
        sha.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def _parts(node: Declared, loaded: Loaded | None) -> dict[str, str]:
    own = node.where.file if node.where is not None else None
    file = Path(own or "product.py")
    reach = Reach(loaded or Loaded(file.parent.resolve(), file), own)
    declared = digest(reach.value(kind_of(node).identity(node)))
    if kind_of(node).sql(node) is not None:
        reach.library("pyspark")
    return {"declaration": declared, **reach.parts()}
