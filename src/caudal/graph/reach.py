"""The user's modules, functions, classes and values that a declaration's code can use, each with a digest.

A value that cannot be described by its content counts as everything that was loaded, since it cannot be proved unchanged.
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
from caudal.graph.loaded import LoadedProduct, product_files
from caudal.graph.modules import imports_of, is_user_file, is_user_module, module_at, with_parents
from caudal.graph.reads import file_state
from caudal.graph.source import DYNAMIC, Statement, file_syntax, nested_codes
from caudal.graph.values import Values, file_of

if TYPE_CHECKING:
    import ast

_CLASS_ATTRIBUTES = frozenset(
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
    """Collects the code and values that declared values use.

    Parameters
    ----------
    declaring_file : the file of the declaration; its definitions count one by one, other modules count as a whole
    """

    def __init__(self, loaded: LoadedProduct, declaring_file: str | None) -> None:
        super().__init__(loaded.root)
        self._loaded, self._declaring_file = loaded, declaring_file
        self._parts: dict[str, set[str]] = defaultdict(set)
        self._reached_user_code = False  # whether user code was found
        self._visited: dict[object, object] = {}

    def parts(self) -> dict[str, str]:
        """Return the digest of each thing that was found, by its name."""
        if self._counts_everything:
            self._add_everything()
        parts = {
            name: hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()[:32] for name, digests in self._parts.items()
        }
        parts |= {f"library:{name}": state for library in self._libraries for name, state in library_state(library).items()}
        reads = replace(self._loaded.reads, unseen=set())  # the values already contain what a command or the network returned
        return parts | (reads.parts(self._loaded.root) if self._reached_user_code or self._counts_everything else {})

    def _function(self, function: types.FunctionType) -> str:
        label = f"{function.__module__}.{function.__qualname__}"
        if id(function) in self._visited:
            return label
        self._visited[id(function)] = function
        file = function.__code__.co_filename
        if (udf := getattr(function, "_unwrapped", None)) is not None and not is_user_file(file):
            self._add_named_value(f"value:{label}", udf)
            return label
        if is_user_file(file) and Path(file).is_file():
            self._reached_user_code = True
            if file == self._declaring_file:
                source = self._loaded.source(file, function.__globals__)
                for statement in source.at(function.__code__.co_firstlineno):
                    self._statement(statement, function.__globals__, function.__module__)
            else:
                self._file(file)
        elif file.startswith("<"):  # typed at a prompt, or generated
            self._reached_user_code = True
            self._add(f"code:{label}", self._code_object(function.__code__))
            for name in sorted({name for code in nested_codes(function.__code__) for name in code.co_names}):
                self._name(name, function.__globals__, function.__module__)
        else:
            self.library(function.__globals__.get("__name__"))
        for cell_name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
            try:
                self._add_named_value(f"value:{cell_name} in {label}", cell.cell_contents)
            except ValueError:  # not set yet
                continue
        for position, default in enumerate(function.__defaults__ or ()):
            self._add_named_value(f"value:default {position} of {label}", default)
        for name, default in (function.__kwdefaults__ or {}).items():
            self._add_named_value(f"value:default of {name} of {label}", default)
        for name, attribute in vars(function).items():
            self._add_named_value(f"value:{name} of {label}", attribute)
        return label

    def _class(self, kind: type) -> str:
        label = f"{kind.__module__}.{kind.__qualname__}"
        if id(kind) in self._visited:
            return label
        self._visited[id(kind)] = kind
        file = file_of(kind)
        if not is_user_file(file):
            self.library(kind.__module__)
            return label
        self._reached_user_code = True
        assert file is not None
        if file == self._declaring_file:
            values = vars(sys.modules[kind.__module__])
            statements = self._loaded.source(file, values).defining(kind.__qualname__.partition(".")[0])
            for statement in statements:
                self._statement(statement, values, kind.__module__)
            self._counts_everything = self._counts_everything or not statements
        else:
            self._file(file)
        for base in (*kind.__bases__, type(kind)):
            self._value(base)
        for name, attribute in vars(kind).items():
            if name not in _CLASS_ATTRIBUTES:
                self._add_named_value(f"value:{name} of {label}", attribute)
        return label

    def _module(self, module: types.ModuleType) -> str:
        file = getattr(module, "__file__", None)
        if is_user_file(file):
            self._file(str(file), module)
        elif is_user_module(module):
            for name in sorted(vars(module)):  # a namespace package: it has no file
                if isinstance(vars(module)[name], types.ModuleType):
                    self._module(vars(module)[name])
        else:
            self.library(module.__name__)
        return module.__name__

    def _file(self, file: str, module: types.ModuleType | None = None) -> None:
        """Add a whole module, its imports, and its values."""
        if ("file", file) in self._visited:
            return
        self._visited["file", file] = file
        self._reached_user_code = True
        module = module or module_at(file)
        name = module.__name__ if module is not None else Path(file).stem
        try:
            text = self._loaded.text(file)
        except OSError:
            self._counts_everything = True
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
            self._counts_everything = self._counts_everything or bool(DYNAMIC & statement.mentions)
            self._add_named_files(statement, file)
        for key, attribute in sorted(vars(module).items()) if module is not None else ():
            if not key.startswith("__"):
                self._add_named_value(f"value:{name}.{key}", attribute)

    def _statement(self, statement: Statement, values: Mapping[str, object], module: str) -> None:
        if ("statement", id(statement)) in self._visited:
            return
        self._visited["statement", id(statement)] = statement
        assert self._declaring_file is not None
        self._add(f"code:{statement.name} ({self._loaded.short(self._declaring_file)})", statement.digest)
        self._counts_everything = self._counts_everything or bool(DYNAMIC & statement.mentions)
        self._add_named_files(statement, self._declaring_file)
        self._imports(statement.tree, str(values.get("__package__") or ""))
        for name in sorted(statement.uses):
            self._name(name, values, module)

    def _name(self, name: str, values: Mapping[str, object], module: str) -> None:
        if name in values:
            if name not in ("__name__", "__doc__", "__spec__", "__builtins__", "__loader__"):
                self._add_named_value(f"value:{name}" if module == self._loaded.name else f"value:{module}.{name}", values[name])
        elif not hasattr(builtins, name) and self._declaring_file is not None and values.get("__file__") == self._declaring_file:
            for statement in self._loaded.source(self._declaring_file, values).defining(
                name
            ):  # such as a decorator that was deleted after use
                self._statement(statement, values, module)

    def _add_named_value(self, name: str, value: object) -> None:
        if isinstance(value, Product) or (name, id(value)) in self._visited:
            return
        self._visited[name, id(value)] = value
        described = self._described(value)
        of_code = isinstance(value, types.FunctionType | type) and is_user_file(_defined_in(value))
        if not isinstance(value, types.ModuleType) and not of_code:  # their source is counted instead
            self._add(name, described)

    def _imports(self, tree: ast.AST, package: str) -> None:
        imports = self._loaded.imports
        for name, perhaps in imports_of(tree, package):
            if (module := sys.modules.get(name)) is not None:
                self._module(module)
            elif imports is not None and name in imports.users:
                self._file(imports.users[name])
            elif imports is not None and name in imports.origins and imports.origins[name] is None:
                self._add(f"module:{name}", "there is none")
            elif not (perhaps and is_user_file(getattr(sys.modules.get(name.rpartition(".")[0]), "__file__", None))):
                self.library(name)

    def _add_named_files(self, statement: Statement, file: str) -> None:
        """Add the files that code names, such as a network's weights."""
        for text in statement.texts:
            if "." not in text or "\n" in text or "\0" in text:
                continue
            path = Path(file).parent / text
            try:
                is_data_file = (path.is_file() and not is_user_file(str(path))) or (
                    path.suffix not in (".py", "") and path.is_file()
                )
            except OSError:
                continue
            if is_data_file:
                self._loaded.named[str(path)] = state = file_state(str(path))
                self._add(f"file:{self._loaded.short(str(path))}", str(state))

    def _add_everything(self) -> None:
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
