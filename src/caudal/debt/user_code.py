"""The functions of a product's own modules, each with its kind and its lines of code, from the sources alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from caudal.declarations.location import Location
from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.graph.fingerprint import loaded_of

TABLE, FEATURES, UDF, PANDAS, OTHER, DECLARATIONS = "table", "features", "udf", "pandas", "other functions", "declarations"
_UDF_MAKERS = frozenset(["udf", "pandas_udf", "arrow_udf", "udtf"])
_PANDAS_APPLIERS = frozenset(["applyInPandas", "mapInPandas", "applyInArrow", "mapInArrow", "applyInPandasWithState"])
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class UserFunction:
    """A function at the top of a module, or a method.

    Parameters
    ----------
    kind : ``table``, ``features``, ``udf`` (Python for each row or batch of rows), ``pandas`` (takes or collects whole groups), ``other functions``
    lines : number of lines with code, without docstring, comments and decorators
    """

    name: str
    kind: str
    lines: int
    where: Location
    tree: _Function


@dataclass(frozen=True)
class UserModule:
    """A module of the user's that the product is made of."""

    file: str
    tree: ast.Module

    @cached_property
    def functions(self) -> list[tuple[str, _Function]]:
        """Functions and methods, by qualified name; functions within functions belong to these."""
        return list(_functions(self.tree, ""))


@dataclass(frozen=True)
class UserCode:
    """The user's modules and their functions."""

    modules: Sequence[UserModule]
    functions: Sequence[UserFunction]

    @property
    def declaration_lines(self) -> int:
        """Lines with code outside of functions."""
        return sum(len(code_lines(module.tree)) for module in self.modules) - sum(function.lines for function in self.functions)


def user_code(product: Product) -> UserCode:
    """Return the code of the modules that a loaded product is made of; of a product that was not loaded from a folder, nothing."""
    loaded = loaded_of(product)
    if loaded is None:
        return UserCode((), ())
    imported = loaded.imports.users.values() if loaded.imports is not None else ()
    files = [file for file in dict.fromkeys([str(loaded.file), *sorted(imported)]) if file.endswith(".py") and Path(file).is_file()]
    modules = [UserModule(file, ast.parse(loaded.text(file))) for file in files]
    of_nodes = {}
    for node in product.tables.values():
        if (code := getattr(node.function, "__code__", None)) is not None:
            of_nodes[code.co_filename, code.co_firstlineno] = FEATURES if isinstance(node, Features) else TABLE
    python = frozenset(name for module in modules for name in _given_to_python(module.tree))
    functions = []
    for module in modules:
        for name, tree in module.functions:
            first = min([tree.lineno, *(decorator.lineno for decorator in tree.decorator_list)])
            kind = of_nodes.get((module.file, first)) or _kind(tree, python)
            functions.append(UserFunction(name, kind, len(code_lines(tree)), Location(module.file, tree.lineno), tree))
    return UserCode(modules, functions)


def code_lines(tree: ast.AST) -> frozenset[int]:
    """Return the numbers of the lines that a syntax tree has code on, without docstrings and decorators.

    Examples
    --------
    >>> sorted(code_lines(ast.parse("def f(x):\\n    'Return x.'\\n\\n    # why\\n    return x\\n").body[0]))
    [1, 5]
    """
    hidden = {id(statement) for statement in _docstrings(tree)}
    lines: set[int] = set()
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if id(node) in hidden:
            continue
        if isinstance(node, ast.expr | ast.stmt | ast.arg | ast.keyword | ast.excepthandler):
            lines.add(node.lineno)
            if isinstance(node, ast.Constant):
                lines.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
        decorators = node.decorator_list if node is tree and isinstance(node, _Function) else []
        waiting += [child for child in ast.iter_child_nodes(node) if child not in decorators]
    return frozenset(lines)


def called_name(call: ast.Call) -> str:
    """Return the last part of what a call names: ``toPandas`` of ``frame.toPandas()``."""
    return call.func.attr if isinstance(call.func, ast.Attribute) else call.func.id if isinstance(call.func, ast.Name) else ""


def _functions(tree: ast.AST, prefix: str) -> Iterator[tuple[str, _Function]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _Function):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            yield from _functions(node, f"{prefix}{node.name}.")
        elif isinstance(node, ast.If | ast.Try | ast.With):
            yield from _functions(node, prefix)


def _kind(tree: _Function, python: frozenset[str]) -> str:
    for decorator in tree.decorator_list:
        maker = decorator.func if isinstance(decorator, ast.Call) else decorator
        name = maker.attr if isinstance(maker, ast.Attribute) else maker.id if isinstance(maker, ast.Name) else ""
        if name in _UDF_MAKERS:
            return UDF
    if f"udf:{tree.name}" in python:
        return UDF
    return PANDAS if f"pandas:{tree.name}" in python else OTHER


def _given_to_python(tree: ast.Module) -> Iterator[str]:
    """Yield the functions that are given to Spark as user-defined ones, or to be applied to groups as pandas frames."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Name):
            if called_name(node) in _UDF_MAKERS:
                yield f"udf:{node.args[0].id}"
            elif called_name(node) in _PANDAS_APPLIERS:
                yield f"pandas:{node.args[0].id}"


def _docstrings(tree: ast.AST) -> Iterator[ast.stmt]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | _Function) and node.body:
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
                yield first
