"""Columns that nobody declared: one name and one type for each, whichever file came first.

What they are called and what type they have follows from the files alone, not from their order, so that a table that grew file by file
is the one that a fresh run makes. A later file may show that a name or a type does not hold; then all files are read again (`Outgrown`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from caudal.stages.ingest.infer import narrowest


class Outgrown(Exception):
    """Files read before are to be read again, together with the new ones: a name or a type that was let in does not hold any more.

    Parameters
    ----------
    notes : what changes, for the reader of the run
    """

    def __init__(self, notes: Sequence[str]) -> None:
        super().__init__(*notes)
        self.notes = tuple(notes)


@dataclass(frozen=True)
class LetIn:
    """A column that files have and nobody declared.

    Parameters
    ----------
    name : str, in the table
    raw : frozenset of str, the names that files give it
    possible : frozenset of str, optional, the types that all its values are of, where files hold it as text (`infer.possible_types`)
    """

    name: str
    raw: frozenset[str] = field(default_factory=frozenset)
    possible: frozenset[str] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return what a table's commit keeps of it."""
        return {
            "name": self.name,
            "raw": sorted(self.raw),
            "possible": None if self.possible is None else sorted(self.possible),
        }

    @staticmethod
    def of(kept: Mapping[str, Any]) -> LetIn:
        """Return the column that a commit has kept."""
        possible = kept["possible"]
        return LetIn(kept["name"], frozenset(kept["raw"]), None if possible is None else frozenset(possible))


def clean(raw: str, taken: Collection[str]) -> str:
    """Return a name that any table format takes and that is not taken (case folded); a leading ``_`` is kept for caudal's own columns."""
    name = re.sub(r"[ ,;{}()\n\t\r=.`]+", "_", raw.strip(" ,;{}()\n\t\r=.`")).lstrip("_") or "column"
    if name == raw and name.casefold() not in taken:
        return raw
    number, free = 2, name
    while free.casefold() in taken:
        number, free = number + 1, f"{name}_{number}"
    return free


def named(files: Iterable[Collection[str]], known: Sequence[LetIn], taken: Collection[str]) -> list[LetIn]:
    """Return the columns that the names in files stand for, in order of appearance; the same for any order of the files.

    Names that differ only in case, or in what a table does not take, are one column, unless a file has two of them.

    Examples
    --------
    >>> [(column.name, sorted(column.raw)) for column in named([["_id", "v"], ["V", "_id", "id"]], [], ())]
    [('id_2', ['_id']), ('v', ['V', 'v']), ('id', ['id'])]
    """
    files = [list(names) for names in files]
    in_order = [*(name for column in known for name in sorted(column.raw)), *(name for names in files for name in names)]
    apart: set[str] = set()
    for together in (*files, [min(column.raw) for column in known if column.raw]):
        alike = [clean(name, ()).casefold() for name in together]
        apart |= {name for name in alike if alike.count(name) > 1}
    columns: dict[str, set[str]] = {}
    for name in in_order:
        alike_name = clean(name, ()).casefold()
        columns.setdefault(f"={name.casefold()}" if alike_name in apart else alike_name, set()).add(name)
    # Of several names the one that needs no cleaning is the column's, and it has the first right to it.
    chosen = {key: min(names, key=lambda name: (clean(name, ()) != name, name.swapcase())) for key, names in columns.items()}
    called: dict[str, str] = {}
    used = {name.casefold() for name in taken}
    for key in sorted(columns, key=lambda key: (clean(chosen[key], used) != chosen[key], chosen[key])):
        called[key] = clean(chosen[key], used)
        used.add(called[key].casefold())
    return [LetIn(called[key], frozenset(names)) for key, names in columns.items()]


def renamed(known: Sequence[LetIn], now: Sequence[LetIn]) -> list[str]:
    """Return a note for each known column that has another name, or is two, by the names that are known now."""
    notes = []
    for column in known:
        same = [other for other in now if column.raw & other.raw]
        if [other.name for other in same] != [column.name]:
            names = " and ".join(repr(other.name) for other in same)
            notes.append(f"Column '{column.name}' is named {names} now that files tell them apart; all files are read again.")
    return notes


def retyped(known: Sequence[LetIn], possible: Mapping[str, frozenset[str]], where: Mapping[str, str]) -> list[str]:
    """Return a note for each known column whose values are not all of its type any more.

    Parameters
    ----------
    possible : mapping of a column's name to the types that its values in the new files are of
    where : mapping of a column's name to a file that has it
    """
    notes = []
    for column in known:
        if column.possible is None or column.name not in possible:
            continue
        before, after = narrowest(column.possible), narrowest(column.possible & possible[column.name])
        if after != before:
            notes.append(
                f"Column '{column.name}' was {before} and is {after} with '{where[column.name]}'; all files are read again."
                f" Declare its type to have values that are not of it quarantined."
            )
    return notes
