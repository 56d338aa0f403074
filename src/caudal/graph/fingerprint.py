"""Fingerprints: with the same code, parameters and input versions a step has the same result, and is skipped.

What cannot be proved unchanged counts as changed (ADR 16). A fingerprint has named parts, so that a run can report which part changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FunctionType

from caudal.declarations.audit import Audit
from caudal.declarations.custom import CustomNode
from caudal.declarations.lookup import OnlineLookup
from caudal.declarations.model import Model
from caudal.declarations.monitor import Monitor
from caudal.declarations.node import Node
from caudal.declarations.product import Product
from caudal.declarations.star import Star
from caudal.declarations.warehouse import Publication
from caudal.graph.loaded import LoadedProduct
from caudal.graph.reach import Reach
from caudal.graph.registered import declared_nodes, kind_of

FORMAT = "4"  # raised when caudal itself computes a step differently, so that every step runs again

Declared = Node | Model | Audit | Publication | Star | Monitor | OnlineLookup | CustomNode

_recorded: dict[int, tuple[Declared, dict[str, str]]] = {}
_loaded: dict[int, tuple[Product, LoadedProduct]] = {}


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
    """Return the fingerprint of a node's code and parameters without its expectations: what determines its rows."""
    return digest(_parts(replace(node, expect=()), loaded_of(product)))


def parts_of(node: Declared) -> dict[str, str]:
    """Return the parts of a declaration's fingerprint: the digest of each thing that counts, by name.

    Names begin with their kind: ``declaration``, ``code:``, ``module:``, ``value:``, ``file:``, ``folder:``, ``existence:``,
    ``variable:``, ``library:``.
    """
    recorded = _recorded.get(id(node))
    return recorded[1] if recorded is not None and recorded[0] is node else _parts(node, None)


def describe(value: object) -> object:
    """Return a JSON-ready description of a declared value that is the same in every process; JSON-ready values stay unchanged."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    return Reach(LoadedProduct(Path(), Path("product.py")), None).value(value)


def function_digest(function: FunctionType) -> str:
    """Return the fingerprint of a function and of all user code and values that it uses."""
    file = Path(function.__code__.co_filename)
    reach = Reach(LoadedProduct(file.parent.resolve(), file), str(file))
    return digest(reach.value(function), reach.parts())


def record_fingerprints(product: Product, loaded: LoadedProduct) -> None:
    """Compute and remember the fingerprints of all declarations of a product, before use changes any of its objects."""
    earlier = [key for key, (_, other) in _loaded.items() if other.file == loaded.file]
    for key in earlier:
        for node in declarations(_loaded.pop(key)[0]):
            _recorded.pop(id(node), None)
    _loaded[id(product)] = (product, loaded)
    for node in declarations(product):
        _recorded[id(node)] = (node, _parts(node, loaded))


def loaded_of(product: Product) -> LoadedProduct | None:
    """Return the sources and reads of a loaded product; None for a product that was not loaded from a folder."""
    recorded = _loaded.get(id(product))
    return recorded[1] if recorded is not None and recorded[0] is product else None


def declarations(product: Product) -> Iterable[Declared]:
    """Return the declarations of a product that have a fingerprint."""
    nodes = (node for node in declared_nodes(product) if any(step.fingerprinted for step in node.kind.steps))
    fingerprinted = ((node, node.kind.fingerprinted_declaration(product, node.declaration)) for node in nodes)
    return (declaration for node, declaration in fingerprinted if declaration is not None and declaration is node.declaration)


def code_in_zone(code: str, tz: str) -> str:
    """Return the fingerprint of code combined with the time zone that its days and hours are in."""
    return code if tz == "UTC" else digest(code, tz)


def file_digest(paths: list[Path]) -> str:
    """Return the hash of some files' names and bytes."""
    sha = hashlib.sha256(FORMAT.encode())
    for path in sorted(paths):
        sha.update(str(path).encode() + b"\0" + path.read_bytes() + b"\0")
    return sha.hexdigest()


def _parts(node: Declared, loaded: LoadedProduct | None) -> dict[str, str]:
    declaring_file = node.where.file if node.where is not None else None
    file = Path(declaring_file or "product.py")
    reach = Reach(loaded or LoadedProduct(file.parent.resolve(), file), declaring_file)
    declared = digest(reach.value(kind_of(node).identity(node)))
    if kind_of(node).sql(node) is not None:
        reach.library("pyspark")
    return {"declaration": declared, **reach.parts()}
