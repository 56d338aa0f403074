"""A module's source, statement by statement: what each defines, which names it uses, what it imports."""

from __future__ import annotations

import ast
import dis
import hashlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import CodeType

_ANNOTATIONS = sys.modules["__future__"].annotations.compiler_flag
# Code that uses these can access objects that its text does not name.
DYNAMIC = frozenset(
    [
        "globals",
        "locals",
        "vars",
        "eval",
        "exec",
        "__import__",
        "import_module",
        "modules",
        "exec_module",
        "run_path",
        "run_module",
        "getsource",
        "load_module",
    ]
)
# Functions that return another value at each call.
CLOCKS = frozenset(
    [
        "now",
        "today",
        "utcnow",
        "time",
        "time_ns",
        "localtime",
        "gmtime",
        "uuid1",
        "uuid4",
        "urandom",
        "token_hex",
        "random",
        "randint",
        "getcwd",
        "cwd",
    ]
)


@dataclass
class Statement:
    """A top-level statement of a module."""

    tree: ast.stmt
    first: int
    last: int

    @cached_property
    def digest(self) -> str:
        """The digest of its syntax tree, without comments, docstrings and layout."""
        return syntax_digest(self.tree)

    @cached_property
    def code(self) -> CodeType:
        """Its compiled code; annotations stay text."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = ast.Module([self.tree], [])
            code: CodeType = compile(whole, "<statement>", "exec", flags=_ANNOTATIONS, dont_inherit=True)
        return code

    @cached_property
    def uses(self) -> frozenset[str]:
        """The module-level names that it reads, also inside functions; local names are excluded."""
        return frozenset(
            str(step.argval)
            for code in nested_codes(self.code)
            for step in dis.get_instructions(code)
            if step.opname in ("LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS")
        )

    @cached_property
    def defines(self) -> frozenset[str]:
        """The module-level names that it assigns."""
        top = {str(step.argval) for step in dis.get_instructions(self.code) if step.opname == "STORE_NAME"}
        deep = {
            str(step.argval)
            for code in nested_codes(self.code)
            for step in dis.get_instructions(code)
            if step.opname == "STORE_GLOBAL"
        }
        return frozenset(top | deep)

    @cached_property
    def mentions(self) -> frozenset[str]:
        """All names in it, attributes included."""
        return frozenset(name for code in nested_codes(self.code) for name in code.co_names)

    @cached_property
    def texts(self) -> frozenset[str]:
        """All string constants in it of fewer than 300 characters."""
        return frozenset(
            node.value
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 300
        )

    @property
    def name(self) -> str:
        """The names that it defines, or "a statement"."""
        return ", ".join(sorted(name for name in self.defines if not name.startswith("__"))) or "a statement"


class ModuleSource:
    """A file's statements.

    Parameters
    ----------
    values : the module's current values; decorators that declare a table of a product are left out, since options are compared separately
    """

    def __init__(self, text: bytes, values: Mapping[str, object], declares: type) -> None:
        self.tree = ast.parse(text)
        self.statements = []
        for tree in self.tree.body:
            first = min([tree.lineno, *(node.lineno for node in getattr(tree, "decorator_list", []))])
            self.statements.append(Statement(tree, first, tree.end_lineno or first))
        for node in ast.walk(self.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                node.decorator_list = [
                    decorator for decorator in node.decorator_list if not isinstance(values.get(_root(decorator)), declares)
                ]

    def at(self, line: int) -> list[Statement]:
        """Return the statements that a line belongs to."""
        return [statement for statement in self.statements if statement.first <= line <= statement.last]

    def defining(self, name: str) -> list[Statement]:
        """Return the statements that define a name."""
        return [statement for statement in self.statements if name in statement.defines]

    @property
    def reads_clock(self) -> bool:
        """Whether loading it reads the clock or a random generator, as far as its text shows."""
        return any(
            step.opname.startswith("LOAD_") and step.argval in CLOCKS
            for statement in self.statements
            if not isinstance(statement.tree, ast.Import | ast.ImportFrom)
            for step in dis.get_instructions(statement.code)
        )


def syntax_digest(tree: ast.AST) -> str:
    """Return the digest of a syntax tree without docstrings.

    Examples
    --------
    >>> syntax_digest(ast.parse("x = 1  # why")) == syntax_digest(ast.parse("x  =  1")) != syntax_digest(ast.parse("x = 2"))
    True
    """
    return hashlib.sha256(_dump(tree).encode(errors="surrogatepass")).hexdigest()[:32]


def file_syntax(path: str, text: bytes | None = None) -> str:
    """Return the digest of a module's syntax; the digest of its bytes where it is not valid Python."""
    content = Path(path).read_bytes() if text is None else text
    try:
        return syntax_digest(ast.parse(content))
    except (SyntaxError, ValueError):
        return hashlib.sha256(content).hexdigest()[:32]


def nested_codes(code: CodeType) -> Iterator[CodeType]:
    """Yield a code object and all code objects nested in it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested_codes(constant)


def _dump(node: object) -> str:
    if isinstance(node, list):
        return "[" + ",".join(map(_dump, node)) + "]"
    if not isinstance(node, ast.AST):
        return repr(node)
    parts = []
    for name in node._fields:
        value = getattr(node, name, None)
        if (
            name == "body"
            and isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and _has_docstring(node.body)
        ):
            value = list(value or ())[1:]
        if name in ("kind", "type_comment", "ctx"):
            continue
        parts.append(_dump(value))
    return f"{type(node).__name__}({','.join(parts)})"


def _has_docstring(body: list[ast.stmt]) -> bool:
    return (
        bool(body)
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    )


def _root(decorator: ast.expr) -> str:
    node: ast.AST = decorator
    while isinstance(node, ast.Call | ast.Attribute):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
