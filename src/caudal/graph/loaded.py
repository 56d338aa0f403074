"""The sources, imports and reads of a loaded product."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from caudal.declarations.product import Product
from caudal.graph.modules import Imports
from caudal.graph.reads import Reads
from caudal.graph.source import ModuleSource


@dataclass
class LoadedProduct:
    """A loaded product: its folder, the sources as they were loaded, its imports, and what loading read."""

    root: Path
    file: Path
    name: str = ""
    texts: dict[str, bytes] = field(default_factory=dict)  # file → source
    imports: Imports | None = None
    reads: Reads = field(default_factory=Reads)
    sources: dict[str, ModuleSource] = field(default_factory=dict)
    named: dict[str, str | None] = field(default_factory=dict)  # files that code names, with the digest of their content

    def text(self, file: str) -> bytes:
        """Return a file's source: as it was loaded, else as it is on disk."""
        if file not in self.texts:
            self.texts[file] = Path(file).read_bytes()
        return self.texts[file]

    def source(self, file: str, values: Mapping[str, object]) -> ModuleSource:
        """Return a file's statements."""
        if file not in self.sources:
            self.sources[file] = ModuleSource(self.text(file), values, Product)
        return self.sources[file]

    @property
    def reads_clock(self) -> bool:
        """Whether loading reads the clock or a random generator, as far as the sources show."""
        source_files = (
            [file for file in {str(self.file), *self.imports.users.values()} if file.endswith(".py")] if self.imports else []
        )
        return any(self.source(file, {}).reads_clock for file in source_files)

    def sources_digest(self) -> str | None:
        """Return the digest of the user's modules that the product's file imports; None where there are none."""
        files = sorted(set(self.imports.users.values())) if self.imports is not None else []
        parts = [f"{file} {hashlib.sha256(self.text(file)).hexdigest()}" for file in files]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32] if parts else None

    def short(self, file: str) -> str:
        """Return a file's path relative to the product's folder, or its name where it lies elsewhere."""
        path = Path(file).resolve()
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else path.name


def product_files(root: Path, patterns: tuple[str, ...] = ("*.py",)) -> list[Path]:
    """Return the files of a product's folder by pattern, without tests and hidden folders."""
    paths = [path for pattern in patterns for path in root.rglob(pattern)]
    inner = [(path, path.relative_to(root).parts) for path in paths]
    return sorted(
        path for path, parts in inner if "tests" not in parts and "site-packages" not in parts and not parts[0].startswith(".")
    )
