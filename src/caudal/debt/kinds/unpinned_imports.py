"""Libraries that the product imports and of which nothing fixes the version."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

from caudal.debt.finding import Debt, DebtKind, Finding, not_measured
from caudal.debt.scope import DebtScope
from caudal.declarations.location import Location
from caudal.graph.fingerprint import loaded_of

LISTS = (
    "*requirements*.txt",
    "*requirements*.in",
    "*.lock",
    "pyproject.toml",
    "Pipfile",
    "setup.cfg",
    "environment.y*ml",
    "constraints*.txt",
)
"""Files that may fix versions, looked for in the product's folder and above it up to the repository's."""


def find_debt(scope: DebtScope) -> Debt:
    """Return the imported libraries that no list of requirements names, or only without a version.

    What caudal itself requires comes with caudal's version, and does not count.
    """
    loaded = loaded_of(scope.product)
    if loaded is None or loaded.imports is None:
        return not_measured("the product was not loaded from a folder")
    texts = [file.read_text("utf-8", errors="replace") for file in _lists(loaded.root)]
    findings = []
    for library in sorted(loaded.imports.libraries - {"caudal"}):
        distributions = [normalised(name) for name in packages_distributions().get(library, [library])]
        if {*distributions} & required_by_caudal():
            continue
        named = [text for text in texts if any(_names(text, distribution) for distribution in distributions)]
        if any(_pins(text, distribution) for text in named for distribution in distributions):
            continue
        name = distributions[0]
        what = f"nothing pins '{name}'" if not named else f"'{name}' is required in any version"
        findings.append(
            Finding(
                library,
                f"The product imports '{library}', and {what}: another version may come with any installation.",
                f"Write {name}==VERSION into a requirements file or a lock file of the product.",
                _import_of(scope, library),
            )
        )
    return Debt(findings)


def normalised(name: str) -> str:
    """Return the name of a distribution as package indexes compare it.

    Examples
    --------
    >>> normalised("Flask_OpenAPI")
    'flask-openapi'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


@cache
def required_by_caudal() -> frozenset[str]:
    """Return the distributions that caudal always requires, and those that they require."""
    known, waiting = set[str](), ["caudal"]
    while waiting:
        name = waiting.pop()
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for line in lines:
            match = re.match(r"[A-Za-z0-9._-]+", line)
            if match is not None and "extra ==" not in line and (required := normalised(match[0])) not in known:
                known.add(required)
                waiting.append(required)
    return frozenset(known)


def _lists(root: Path) -> Iterator[Path]:
    for folder in (root, *root.parents):
        for pattern in LISTS:
            yield from (file for file in sorted(folder.glob(pattern)) if file.is_file())
        if (folder / ".git").exists():
            return
        if folder == Path.home():
            return


def _names(text: str, distribution: str) -> bool:
    return re.search(_name(distribution), text, re.IGNORECASE) is not None


def _pins(text: str, distribution: str) -> bool:
    """Return whether a text names a distribution with a version, in any of the ways of requirement and lock files."""
    version = r"(\[[^\]]*\])?[\"']?\s*([=~<>!]=?=?|@|\n\s*version\s*=)\s*[\"'{]?\s*\S"
    return re.search(_name(distribution) + version, text, re.IGNORECASE) is not None


def _name(distribution: str) -> str:
    return r"(?<![\w.-])" + re.escape(distribution).replace(r"\-", "[-_.]+") + r"(?![\w-])"


def _import_of(scope: DebtScope, library: str) -> str | None:
    for module in scope.code.modules:
        for node in ast.walk(module.tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            if any(name.partition(".")[0] == library for name in names) and isinstance(node, ast.stmt):
                return str(Location(module.file, node.lineno))
    return None


DEBT = DebtKind("unpinned_imports", "Imports that nothing pins", find_debt)
ORDER = 120
