"""The physical columns of a file and their types, with the same type names for all formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from caudal.errors import SourceProblem
from caudal.stages.ingest.raw import RawFile

WRONG_WIDTH = "row has too few or too many fields, or a quote that is not closed"


@dataclass(frozen=True)
class PhysicalColumn:
    """One column of a file.

    Parameters
    ----------
    name : str, as the file writes it
    type : str, one of the schema's types, or ``null`` (nothing in it), ``text`` (any type, written as text),
        ``nested`` (lists, structures, maps), ``unsupported``
    native_type : str, the format's name of the type, for messages
    ddl : str, the type that Spark reads it as
    unit : str, optional, ``s | ms | ns``, of values stored as counts, which become microseconds in a table
    guess : str, optional, for ``text``: the type of the file's cells
    """

    name: str
    type: str
    native_type: str
    ddl: str = "string"
    unit: str | None = None
    guess: str | None = None


@dataclass(frozen=True)
class Physical:
    """The columns of a file and its reader options. Files with equal columns and options are read together."""

    format: str
    columns: tuple[PhysicalColumn, ...]
    dialect: tuple[tuple[str, str], ...] = ()  # reader options that follow from the file itself

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Return the column names in the file's order."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True)
class Inspected:
    """A file, its physical columns, and notes for the reader of the run."""

    file: RawFile
    physical: Physical
    notes: tuple[str, ...] = field(default=())


Options = Mapping[str, object]


def check_names(file: RawFile, names: tuple[str, ...]) -> None:
    """Raise SourceProblem where two columns have the same name, or names that differ only in case."""
    names_by_case: dict[str, str] = {}
    for name in names:
        earlier_name = names_by_case.get(name.casefold())
        names_by_case[name.casefold()] = name
        if earlier_name is not None:
            raise SourceProblem(
                f"'{file.name}' has two columns named '{name}'."
                if earlier_name == name
                else f"'{file.name}' has the columns '{earlier_name}' and '{name}', which differ in case only.",
                fix="Rename one of them at its origin: table columns ignore case.",
                file=file.name,
                column=name,
            )
