"""A product's folder → the product it declares."""

from __future__ import annotations

import importlib.util
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from inspect import isfunction
from pathlib import Path
from types import ModuleType

from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError, DeclarationProblem, NotThere, nearest
from caudal.extras import CANDIDATE_LIBRARIES, PYSPARK, check_pyspark, missing_library
from caudal.graph.fingerprint import record_fingerprints
from caudal.graph.loaded import LoadedProduct
from caudal.graph.misuse import misuse
from caudal.graph.modules import PRODUCT, FromSource, Imports, add_product_folder, importing_user_modules, unload_modules
from caudal.graph.near import product_near
from caudal.graph.reads import Recorder
from caudal.graph.udf import allow_types_without_session

FILE = "product.py"
_NO_SESSION = ("SESSION_OR_CONTEXT_NOT_EXISTS", "NO_ACTIVE_OR_DEFAULT_SESSION")
"""PySpark's classes of the error that there is no session: with Java, with a Connect server."""


def load(folder: Path) -> Product:
    """Return the product that ``folder/product.py`` (or the file itself) declares.

    Raises
    ------
    NotThere : there is no such folder or file
    DeclarationProblem : the file has a syntax error, raises, or declares no product; the line is named
    """
    file = product_file(folder).absolute()
    root = file.resolve().parent
    loaded = LoadedProduct(root, file, f"{PRODUCT}{root.name}")  # the same name in every process: fingerprints hold it
    add_product_folder(root)
    loaded.imports = Imports(file, root)
    unload_modules([*loaded.imports.users])
    recorder = Recorder()
    with importing_user_modules(root) as imported:
        module = recorder.call(_execute, loaded.name, file)
    loaded.reads = recorder.reads
    _keep_sources(loaded, {**imported, loaded.name: module})
    products = {id(value): value for value in vars(module).values() if isinstance(value, Product)}
    if len(products) != 1:
        raise DeclarationProblem(
            f"{_relative(file)} declares {'no product' if not products else f'{len(products)} products'}.",
            fix="Write one: product = cd.Product('name').",
            where=_relative(file),
        )
    product = next(iter(products.values()))
    record_fingerprints(product, loaded)
    return product


def _execute(name: str, file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file, loader=FromSource(name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except CaudalError:
        raise
    except SyntaxError as error:
        raise DeclarationProblem(
            f"{_relative(error.filename or file)} has a syntax error: {error.msg}.",
            where=f"{_relative(error.filename or file)}:{error.lineno}",
            fix=f"The line reads: {(error.text or '').strip()}",
            line=error.lineno,
        ) from None
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name in CANDIDATE_LIBRARIES:
            raise missing_library(error.name, extra=error.name, for_=_relative(file)) from None
        if isinstance(error, ModuleNotFoundError) and str(error.name).partition(".")[0] == PYSPARK:
            check_pyspark()
        if _needs_spark_session(error) and allow_types_without_session():
            return _execute(name, file)
        line = _line(error, file)
        place = f"{_relative(file)}:{line}" if line else _relative(file)
        if (misused := misuse(error, _callables())) is not None:
            raise DeclarationProblem(misused.what, nearest=misused.nearest, fix=misused.fix, where=place, line=line) from None
        message, suggestion = _message(error)
        raise DeclarationProblem(
            f"{_relative(file)} cannot be loaded: {type(error).__name__}: {message}.",
            where=place,
            nearest=suggestion or _nearest_attribute(error),
            fix="Spark is not there yet while the file is loaded: write this inside the function that uses it."
            if _needs_spark_session(error)
            else None,
            line=line,
        ) from None
    return module


def _keep_sources(loaded: LoadedProduct, modules: Mapping[str, ModuleType]) -> None:
    """Keep the sources that were compiled: the files may have been edited since."""
    assert loaded.imports is not None
    for name, module in modules.items():
        text = getattr(getattr(module.__spec__, "loader", None), "text", None)
        file = getattr(module, "__file__", None)
        if file is not None:
            if text is not None:
                loaded.texts[file] = text
            if name != loaded.name:
                loaded.imports.users[name] = file


def _needs_spark_session(error: Exception) -> bool:
    """Return whether an error comes from PySpark code that needs a session: it names the error class, or fails an assertion."""
    frames = traceback.extract_tb(error.__traceback__)
    within = bool(frames) and "pyspark" in Path(frames[-1].filename).parts
    return within and (isinstance(error, AssertionError) or any(name in str(error) for name in _NO_SESSION))


def product_file(folder: Path) -> Path:
    """Return the file that declares the product in ``folder``."""
    file = folder if folder.suffix == ".py" else folder / FILE
    if file.is_file():
        return file
    near = product_near(folder, FILE)
    raise NotThere(
        f"The folder '{folder}' holds no {FILE}." if folder.is_dir() else f"There is no product folder '{folder}'.",
        nearest=str(near) if near else None,
        fix=None if near else "Make one with: caudal new NAME.",
    )


def with_data(settings: Settings, file: Path) -> Settings:
    """Return the settings with a folder for patterns: the one of the product's file, where none is given with --data."""
    return settings if settings.data else replace(settings, data=file.parent)


def _callables() -> dict[str, Callable[..., object]]:
    """Return the public functions and product methods of caudal by qualified name."""
    public = vars(sys.modules["caudal"])
    methods = {f"{of.__name__}.{name}": var for of in Product.__mro__ for name, var in vars(of).items() if isfunction(var)}
    functions = {name: value for name, value in public.items() if isfunction(value) and not name.startswith("_")}
    return {**methods, **functions}


def _message(error: Exception) -> tuple[str, str | None]:
    """Return an error's message without a full stop, and the name that it suggests, if any."""
    match = re.fullmatch(r"(.*) Did you mean '([^']+)'\?", str(error), re.DOTALL)
    return (match[1].rstrip("."), match[2]) if match else (str(error).rstrip("."), None)


def _nearest_attribute(error: Exception) -> str | None:
    """Return the attribute nearest to the one that was missing; None for other errors."""
    if not isinstance(error, AttributeError) or not error.name:
        return None
    return nearest(error.name, [name for name in dir(error.obj) if not name.startswith("_")])


def _line(error: Exception, file: Path) -> int | None:
    lines = [entry.lineno for entry in traceback.extract_tb(error.__traceback__) if Path(entry.filename) == file]
    return lines[-1] if lines else None


def _relative(file: str | Path) -> str:
    path = Path(file)
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except ValueError:
        return str(path)
