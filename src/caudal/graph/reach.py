"""What a declaration's code can reach of the user's: modules, functions, classes and the values of names, each with a digest.

What cannot be shown to be unchanged has changed: a value that cannot be described by its content counts as everything that was loaded.
"""

from __future__ import annotations

import builtins
import hashlib
import json
import sys
import types
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.product import Product
from caudal.graph.libraries import library_state
from caudal.graph.loaded import Loaded, product_files
from caudal.graph.modules import imports_of, is_users, module_at, of_user, with_parents
from caudal.graph.reads import file_state
from caudal.graph.source import DYNAMIC, Statement, codes, file_syntax
from caudal.graph.values import Values, file_of

if TYPE_CHECKING:
    import ast

_OF_CLASSES = frozenset(
    [
        "__dict__",
        "__weakref__",
        "__doc__",
        "__module__",
        "__qualname__",
        "__abstractmethods__",
        "_abc_impl",
        "__annotations__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__match_args__",
        "__slots__",
        "__firstlineno__",
        "__static_attributes__",
        "__parameters__",
        "__orig_bases__",
    ]
)


class Reach(Values):
    """Collects what some declared values reach.

    Parameters
    ----------
    own : the file of the declaration; what is defined there counts by statement, other modules count whole
    """

    def __init__(self, loaded: Loaded, own: str | None) -> None:
        super().__init__(loaded.root)
        self._loaded, self._own = loaded, own
        self._parts: dict[str, set[str]] = defaultdict(set)
        self._code = False  # whether code of the user's was met
        self._done: dict[object, object] = {}

    def parts(self) -> dict[str, str]:
        """Return the digest of each thing that was reached, by its name."""
        if self._whole:
            self._everything()
        parts = {
            name: hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:32] for name, digests in self._parts.items()
        }
        parts |= {f"library:{name}": state for library in self._libraries for name, state in library_state(library).items()}
        read = replace(self._loaded.reads, unseen=set())  # what a command or the network said is in the values
        return parts | (read.parts(self._loaded.root) if self._code or self._whole else {})

    def _function(self, function: types.FunctionType) -> str:
        label = f"{function.__module__}.{function.__qualname__}"
        if id(function) in self._done:
            return label
        self._done[id(function)] = function
        file = function.__code__.co_filename
        if (udf := getattr(function, "_unwrapped", None)) is not None and not is_users(file):
            self._named(f"value:{label}", udf)
            return label
        if is_users(file) and Path(file).is_file():
            self._code = True
            if file == self._own:
                source = self._loaded.source(file, function.__globals__)
                for statement in source.at(function.__code__.co_firstlineno):
                    self._statement(statement, function.__globals__, function.__module__)
            else:
                self._file(file)
        elif file.startswith("<"):  # typed at a prompt, or made by a program
            self._code = True
            self._add(f"code:{label}", self._code_object(function.__code__))
            for name in sorted({name for code in codes(function.__code__) for name in code.co_names}):
                self._name(name, function.__globals__, function.__module__)
        else:
            self.library(function.__globals__.get("__name__"))
        for cell_name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                self._named(f"value:{cell_name} in {label}", cell.cell_contents)
            except ValueError:  # not set yet
                continue
        for position, default in enumerate(function.__defaults__ or ()):
            self._named(f"value:default {position} of {label}", default)
        for name, default in (function.__kwdefaults__ or {}).items():
            self._named(f"value:default of {name} of {label}", default)
        for name, held in vars(function).items():
            self._named(f"value:{name} of {label}", held)
        return label

    def _class(self, kind: type) -> str:
        label = f"{kind.__module__}.{kind.__qualname__}"
        if id(kind) in self._done:
            return label
        self._done[id(kind)] = kind
        file = file_of(kind)
        if not is_users(file):
            self.library(kind.__module__)
            return label
        self._code = True
        assert file is not None
        if file == self._own:
            values = vars(sys.modules[kind.__module__])
            statements = self._loaded.source(file, values).defining(kind.__qualname__.partition(".")[0])
            for statement in statements:
                self._statement(statement, values, kind.__module__)
            self._whole = self._whole or not statements
        else:
            self._file(file)
        for base in (*kind.__bases__, type(kind)):
            self._value(base)
        for name, held in vars(kind).items():
            if name not in _OF_CLASSES:
                self._named(f"value:{name} of {label}", held)
        return label

    def _module(self, module: types.ModuleType) -> str:
        file = getattr(module, "__file__", None)
        if is_users(file):
            self._file(str(file), module)
        elif of_user(module):
            for name in sorted(vars(module)):  # a folder of modules without a file of its own
                if isinstance(vars(module)[name], types.ModuleType):
                    self._module(vars(module)[name])
        else:
            self.library(module.__name__)
        return module.__name__

    def _file(self, file: str, module: types.ModuleType | None = None) -> None:
        """Count a whole module, what it imports, and the values that it holds."""
        if ("file", file) in self._done:
            return
        self._done["file", file] = file
        self._code = True
        module = module or module_at(file)
        name = module.__name__ if module is not None else Path(file).stem
        try:
            text = self._loaded.text(file)
        except OSError:
            self._whole = True
            return
        self._add(f"module:{name} ({self._loaded.short(file)})", file_syntax(file, text))
        if not file.endswith(".py"):
            return
        source = self._loaded.source(file, vars(module) if module is not None else {})
        package = getattr(module, "__package__", None) or name.rpartition(".")[0]
        self._imports(source.tree, package)
        for parent in with_parents(name)[:-1]:
            if (above := sys.modules.get(parent)) is not None:
                self._module(above)
        for statement in source.statements:
            self._whole = self._whole or bool(DYNAMIC & statement.mentions)
            self._named_files(statement, file)
        for key, held in sorted(vars(module).items()) if module is not None else ():
            if not key.startswith("__"):
                self._named(f"value:{name}.{key}", held)

    def _statement(self, statement: Statement, values: Mapping[str, object], module: str) -> None:
        if ("statement", id(statement)) in self._done:
            return
        self._done["statement", id(statement)] = statement
        assert self._own is not None
        self._add(f"code:{statement.name} ({self._loaded.short(self._own)})", statement.digest)
        self._whole = self._whole or bool(DYNAMIC & statement.mentions)
        self._named_files(statement, self._own)
        self._imports(statement.tree, str(values.get("__package__") or ""))
        for name in sorted(statement.uses):
            self._name(name, values, module)

    def _name(self, name: str, values: Mapping[str, object], module: str) -> None:
        if name in values:
            if name not in ("__name__", "__doc__", "__spec__", "__builtins__", "__loader__"):
                self._named(f"value:{name}" if module == self._loaded.name else f"value:{module}.{name}", values[name])
        elif not hasattr(builtins, name) and self._own is not None and values.get("__file__") == self._own:
            for statement in self._loaded.source(self._own, values).defining(name):  # a decorator that was deleted after use
                self._statement(statement, values, module)

    def _named(self, name: str, value: object) -> None:
        if isinstance(value, Product) or (name, id(value)) in self._done:
            return
        self._done[name, id(value)] = value
        described = self._described(value)
        of_code = isinstance(value, types.FunctionType | type) and is_users(_defined_in(value))
        if not isinstance(value, types.ModuleType) and not of_code:  # those are counted by what they are made of
            self._add(name, described)

    def _imports(self, tree: ast.AST, package: str) -> None:
        known = self._loaded.imports
        for name, perhaps in imports_of(tree, package):
            if (module := sys.modules.get(name)) is not None:
                self._module(module)
            elif known is not None and name in known.users:
                self._file(known.users[name])
            elif known is not None and name in known.origins and known.origins[name] is None:
                self._add(f"module:{name}", "there is none")
            elif not (perhaps and is_users(getattr(sys.modules.get(name.rpartition(".")[0]), "__file__", None))):
                self.library(name)

    def _named_files(self, statement: Statement, file: str) -> None:
        """Count the files that code names, such as a network's weights."""
        for text in statement.texts:
            if "." not in text or "\n" in text or "\0" in text:
                continue
            path = Path(file).parent / text
            try:
                there = (path.is_file() and not is_users(str(path))) or (path.suffix not in (".py", "") and path.is_file())
            except OSError:
                continue
            if there:
                self._loaded.named[str(path)] = state = file_state(str(path))
                self._add(f"file:{self._loaded.short(str(path))}", str(state))

    def _everything(self) -> None:
        users = dict(self._loaded.imports.users) if self._loaded.imports is not None else {}
        files = {str(self._loaded.file), *users.values(), *map(str, product_files(self._loaded.root))}
        for file in sorted(files):
            self._add("everything that was loaded", [self._loaded.short(file), file_syntax(file, self._loaded.texts.get(file))])
        for name in self._loaded.imports.origins if self._loaded.imports is not None else ():
            self.library(name)

    def _add(self, name: str, described: object) -> None:
        text = described if isinstance(described, str) else json.dumps(described)
        self._parts[name].add(hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest())


def _defined_in(value: types.FunctionType | type) -> str | None:
    return value.__code__.co_filename if isinstance(value, types.FunctionType) else file_of(value)
