"""``cd.open_product``: a product's folder in Python: check, run, preview and explain it, as the commands do."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from caudal.client import opened
from caudal.client.shown import lines_part, page_part
from caudal.client.tables import PublishedTable
from caudal.declarations.settings import settings
from caudal.errors import CaudalError
from caudal.graph.load import load, product_file, with_data
from caudal.runtime.progress import NoProgress

if TYPE_CHECKING:
    from caudal.client.previewed import PreviewedRows
    from caudal.declarations.product import Product
    from caudal.declarations.settings import Settings
    from caudal.report.run_document import RunDocument
    from caudal.runtime.progress import Progress


def open_product(
    path: str | os.PathLike[str] = ".",
    *,
    home: str | os.PathLike[str] = ".caudal",
    data: str | os.PathLike[str] | None = None,
    engine: str | None = None,
) -> ProductFolder:
    """Return a product's folder, to be checked, run, previewed and explained from Python.

    Parameters
    ----------
    path : the folder with ``product.py``
    home, data, engine : as ``--home``, ``--data`` and ``--engine``; further settings (``caudal.toml``, ``CAUDAL_LAKE`` …) hold as for the commands

    Raises
    ------
    NotThere : the folder has no ``product.py``
    """
    file = product_file(Path(path))
    chosen = settings(home=Path(home), data=None if data is None else Path(data), engine=engine)
    return ProductFolder(file, with_data(chosen, file))


@dataclass(frozen=True)
class ProductFolder:
    """A product's folder. ``product["trips"]`` is the newest published version of a table; code that changed is read again by each call."""

    file: Path
    settings: Settings

    @property
    def product(self) -> Product:
        """What ``product.py`` declares now."""
        return load(self.file)

    @property
    def home(self) -> opened.OpenedHome:
        """The home that runs of it publish in."""
        return opened.open(self.settings.home)

    def __getitem__(self, table: str) -> PublishedTable:
        return self.home[self.product.name][table]

    def check(self, *, static: bool = False) -> CheckProblems:
        """Return what is wrong with the declaration, as ``caudal check`` does; no data is read.

        Parameters
        ----------
        static : read the declaration only, and let no engine analyse it
        """
        from caudal.commands.check.check import check_product

        return CheckProblems(check_product(self.file, self.settings, static=static))

    def run(self, *, only: Literal["all", "train", "predict"] = "all", quiet: bool = False) -> FinishedRun:
        """Bring the product up to date, as ``caudal run`` does, and return the run.

        Parameters
        ----------
        only : one of the product's two pipelines
        quiet : show no progress

        Raises
        ------
        CaudalError : the run failed; what was published before it stays
        """
        from caudal.batch.batch import run

        with _progress(quiet=quiet) as progress:
            result = run(self.file, self.settings, pipeline=only, progress=progress, go_on=True)
        if result.error is not None:
            raise result.error
        return FinishedRun(result.document)

    def preview(self, table: str, rows: int = 1000) -> PreviewedRows:
        """Return what a table's function gives for the newest rows of its inputs, judged; nothing is published.

        Parameters
        ----------
        rows : about how many rows of each input are read: its newest days, as many as are needed; small inputs are read whole

        Raises
        ------
        NotThere : the product makes no table of that name
        StepFailed : an input has not been published, or the function failed
        """
        from caudal.client.previewed import PreviewedRows
        from caudal.commands.preview import preview_table

        with _progress(quiet=True) as progress:
            return PreviewedRows(preview_table(self.file, table, self.settings, rows, progress))

    def explain(self, name: str) -> NodeFacts:
        """Return what a node of the product is made of, and why its steps ran or rested the last time.

        Raises
        ------
        NotThere : the product has no node of that name
        """
        from caudal.commands.explain import explain_node

        return NodeFacts(name, tuple(explain_node(self.product, name, self.settings)))

    def _repr_html_(self) -> str:
        from caudal.graph.build import build
        from caudal.graph.draw import as_svg

        return f'<div style="overflow-x:auto">{as_svg(build(self.product))}</div>'  # a wide graph is scrolled, not cut off

    def __repr__(self) -> str:
        return f"<product {self.product.name} in {self.file.parent}>"


class CheckProblems(Sequence[CaudalError]):
    """What is wrong with a declaration; empty where nothing is."""

    def __init__(self, problems: Sequence[CaudalError]) -> None:
        self._problems = tuple(problems)

    @overload
    def __getitem__(self, place: int) -> CaudalError: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[CaudalError]: ...
    def __getitem__(self, place: int | slice) -> CaudalError | Sequence[CaudalError]:
        return self._problems[place]

    def __len__(self) -> int:
        return len(self._problems)

    def _repr_html_(self) -> str:
        return lines_part("Problems", [f"✗ {problem.sentence()}" for problem in self] or ["✓ nothing wrong"])

    def __repr__(self) -> str:
        return "\n".join(f"✗ {problem.sentence()}" for problem in self) or "nothing wrong"


@dataclass(frozen=True)
class FinishedRun:
    """A run that succeeded, or that had nothing to do."""

    document: RunDocument

    def _repr_html_(self) -> str:
        rows = [(step["step"], step["state"], f"{step['seconds']:.1f}", step["why"] or "") for step in self.document["steps"]]
        return page_part(f"Run {self.document['run_id']}: {self.document['state']}", ("step", "state", "seconds", "why"), rows)

    def __repr__(self) -> str:
        return f"<run {self.document['run_id']}: {self.document['state']}, {len(self.document['steps'])} steps>"


@dataclass(frozen=True)
class NodeFacts:
    """What is known of a node: facts with their names, in order."""

    name: str
    facts: tuple[tuple[str, str], ...]

    def _repr_html_(self) -> str:
        return page_part(self.name, ("", ""), self.facts)

    def __repr__(self) -> str:
        width = max(len(label) for label, _ in self.facts)
        return "\n".join([self.name, *(f"  {label:<{width}}  {text}" for label, text in self.facts)])


@contextlib.contextmanager
def _progress(*, quiet: bool) -> Iterator[Progress]:
    """Yield the progress of the terminal, which notebooks show too."""
    if quiet:
        yield NoProgress()
        return
    from caudal.report.terminal import TerminalProgress
    from caudal.report.terminal.console import console

    with TerminalProgress(console(sys.stdout)) as progress:
        yield progress
