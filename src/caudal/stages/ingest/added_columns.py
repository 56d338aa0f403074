"""Undeclared columns: one name and one type for each, whichever file came first.

Their names and types follow from the files alone, not from their order, so that a table that grew file by file
equals the one that a fresh run makes. A later file may contradict a name or a type; then all files are read again (`Outgrown`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from caudal.stages.ingest.infer import narrowest


class Outgrown(Exception):
    """The new files contradict the name or the type of an undeclared column, so all files have to be read again.

    Parameters
    ----------
    notes : what changes, for the reader of the run
    """

    def __init__(self, notes: Sequence[str]) -> None:
        super().__init__(*notes)
        self.notes = tuple(notes)


@dataclass(frozen=True)
class AddedColumn:
    """An undeclared column of files.

    Parameters
    ----------
    name : str, in the table
    raw : frozenset of str, its names in files
    possible : frozenset of str, optional, the types that all its values have, where files hold it as text (`infer.possible_types`)
    """

    name: str
    raw: frozenset[str] = field(default_factory=frozenset)
    possible: frozenset[str] | None = None

    def as_dict(self) -> dict[str, object]:
        """Return the column as a table's commit stores it."""
        return {
            "name": self.name,
            "raw": sorted(self.raw),
            "possible": None if self.possible is None else sorted(self.possible),
        }

    @staticmethod
    def of(stored: Mapping[str, Any]) -> AddedColumn:
        """Return the column from a table's commit."""
        possible = stored["possible"]
        return AddedColumn(stored["name"], frozenset(stored["raw"]), None if possible is None else frozenset(possible))


def clean_name(raw: str, used_names: Collection[str]) -> str:
    """Return a name that any table format accepts and that is free (ignoring case); a leading ``_`` is reserved for caudal."""
    name = re.sub(r"[ ,;{}()\n\t\r=.`]+", "_", raw.strip(" ,;{}()\n\t\r=.`")).lstrip("_") or "column"
    if name == raw and name.casefold() not in used_names:
        return raw
    number, candidate = 2, name
    while candidate.casefold() in used_names:
        number, candidate = number + 1, f"{name}_{number}"
    return candidate


def name_columns(
    files: Iterable[Collection[str]], earlier: Sequence[AddedColumn], used_names: Collection[str]
) -> list[AddedColumn]:
    """Return the columns of the names in files, in order of appearance; the columns are the same for any order of the files.

    Names that differ only in case, or in characters that tables do not accept, are one column, unless a file has two of them.

    Examples
    --------
    >>> [(column.name, sorted(column.raw)) for column in name_columns([["_id", "v"], ["V", "_id", "id"]], [], ())]
    [('id_2', ['_id']), ('v', ['V', 'v']), ('id', ['id'])]
    """
    files = [list(names) for names in files]
    all_names = [*(name for column in earlier for name in sorted(column.raw)), *(name for names in files for name in names)]
    ambiguous: set[str] = set()
    for names_ in (*files, [min(column.raw) for column in earlier if column.raw]):
        cleaned = [clean_name(name, ()).casefold() for name in names_]
        ambiguous |= {name for name in cleaned if cleaned.count(name) > 1}
    columns: dict[str, set[str]] = {}
    for name in all_names:
        cleaned_name = clean_name(name, ()).casefold()
        columns.setdefault(f"={name.casefold()}" if cleaned_name in ambiguous else cleaned_name, set()).add(name)
    # Of several names the column gets the one that needs no cleaning, and such a name takes precedence.
    chosen = {key: min(names, key=lambda name: (clean_name(name, ()) != name, name.swapcase())) for key, names in columns.items()}
    chosen_names: dict[str, str] = {}
    used = {name.casefold() for name in used_names}
    for key in sorted(columns, key=lambda key: (clean_name(chosen[key], used) != chosen[key], chosen[key])):
        chosen_names[key] = clean_name(chosen[key], used)
        used.add(chosen_names[key].casefold())
    return [AddedColumn(chosen_names[key], frozenset(names)) for key, names in columns.items()]


def rename_notes(earlier: Sequence[AddedColumn], current: Sequence[AddedColumn]) -> list[str]:
    """Return a note for each earlier column that the new files rename or split."""
    notes = []
    for column in earlier:
        matching = [current_column for current_column in current if column.raw & current_column.raw]
        if [current_column.name for current_column in matching] != [column.name]:
            names = " and ".join(repr(current_column.name) for current_column in matching)
            notes.append(
                f"Column '{column.name}' is named {names} now, because files have several such columns; all files are read again."
            )
    return notes


def retype_notes(earlier: Sequence[AddedColumn], possible: Mapping[str, frozenset[str]], files: Mapping[str, str]) -> list[str]:
    """Return a note for each earlier column that the new files give another type.

    Parameters
    ----------
    possible : mapping of a column's name to the types that its values in the new files have
    files : mapping of a column's name to a file that has it
    """
    notes = []
    for column in earlier:
        if column.possible is None or column.name not in possible:
            continue
        before, after = narrowest(column.possible), narrowest(column.possible & possible[column.name])
        if after != before:
            notes.append(
                f"Column '{column.name}' was {before} and is {after} with '{files[column.name]}'; all files are read again."
                f" Declare its type to have values that are not of it quarantined."
            )
    return notes
