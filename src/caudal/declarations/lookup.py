"""Declarations of features that a server looks up, and of names for the values of inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from caudal.declarations.declared import Function, name_of, names_of
from caudal.declarations.duration import seconds
from caudal.declarations.location import Location
from caudal.declarations.node import Node
from caudal.errors import DeclarationProblem, nearest

OfColumns = str | Function | Node | tuple[str, ...]
Lookups = bool | Mapping[OfColumns, str | Sequence[str]]
NamedInputs = Mapping[str | tuple[str, ...], Mapping[str, object]]
NAME_KEYS = ("table", "key", "name", "also")
HISTORY = "1 day"


@dataclass(frozen=True)
class NameTable:
    """The table that has names for the values of an input.

    Parameters
    ----------
    table : str, its name
    key : str, the column with the value
    name : str, the column with the name
    also : str, optional, a column that is shown behind the name
    """

    table: str
    key: str
    name: str
    also: str | None = None


@dataclass(frozen=True)
class OnlineLookup:
    """What a server looks up for a model, in an online view that runs keep.

    Parameters
    ----------
    model : str
    inferred : whether all inputs are looked up whose origin is known: parts of a time, and values of earlier rows
    given : by columns of the model's features, or by the name of a table that has them, the columns that make up the key
    names : by input, the table with the names of its values
    history_s : how long before the newest row the view begins: for times before it, values that follow the time are not found
    """

    model: str
    inferred: bool = False
    given: Mapping[tuple[str, ...], tuple[str, ...]] = field(default_factory=dict)
    names: Mapping[str, NameTable] = field(default_factory=dict)
    history_s: float = seconds(HISTORY)
    where: Location | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """The name of its model."""
        return self.model


def lookup_of(
    model: str, lookup: Lookups | None, names: NamedInputs | None, history: str | float, where: Location
) -> OnlineLookup | None:
    """Return what is to be looked up for a model; None for nothing.

    Raises
    ------
    DeclarationProblem : a key without columns, or a table of names that lacks one of its parts
    """
    if (lookup is None and not names) or (lookup is False and not names):
        return None
    given: dict[tuple[str, ...], tuple[str, ...]] = {}
    for columns, keys in lookup.items() if isinstance(lookup, Mapping) else ():
        of = columns if isinstance(columns, tuple) else (name_of(columns),)
        if not of or not names_of(keys):
            raise DeclarationProblem(
                f"The lookup of model '{model}' has an empty {'list of columns' if not of else 'key'}.",
                fix='Write {"a_feature": "its_key"}, or lookup=True to have keys inferred.', where=str(where),
            )  # fmt: skip
        given[of] = names_of(keys)
    tables = {
        input_: _name_table(model, input_, table, where) for inputs, table in (names or {}).items() for input_ in names_of(inputs)
    }
    return OnlineLookup(model, lookup is True, given, tables, seconds(history), where)


def _name_table(model: str, input_: str, declared: Mapping[str, object], where: Location) -> NameTable:
    for key in declared:
        if key not in NAME_KEYS:
            raise DeclarationProblem(
                f"Names for '{input_}' of model '{model}' have no '{key}'.", nearest=nearest(str(key), NAME_KEYS),
                fix=f"Use {', '.join(NAME_KEYS)}.", where=str(where),
            )  # fmt: skip
    missing = [key for key in NAME_KEYS[:3] if key not in declared]
    if missing:
        raise DeclarationProblem(
            f"Names for '{input_}' of model '{model}' lack {' and '.join(repr(key) for key in missing)}.",
            fix='Write {"table": "zones", "key": "zone_id", "name": "zone"}.', where=str(where),
        )  # fmt: skip
    table = declared["table"]
    also = declared.get("also")
    return NameTable(
        name_of(table) if isinstance(table, str | Node) or callable(table) else str(table),
        str(declared["key"]), str(declared["name"]), None if also is None else str(also),
    )  # fmt: skip
