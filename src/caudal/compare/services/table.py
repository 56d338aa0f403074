"""The table ``[platforms.NAME]`` of the settings: what a service is asked by, where, and as whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from caudal.declarations.settings import FILE
from caudal.errors import DeclarationProblem, nearest

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings

_WORDS = {"str": "a text", "dict": "a table", "list": "a list"}


def platform_table(
    settings: Settings, name: str, kinds: Mapping[str, type], required: Mapping[str, str], variables: Mapping[str, str] | None = None
) -> dict[str, Any]:  # fmt: skip
    """Return the table of a name, whose keys are known, of the right kind, and whole.

    Parameters
    ----------
    kinds : what each key holds
    required : the keys that it must have, each with an example
    variables : environment variables that stand for keys that are left out

    Raises
    ------
    DeclarationProblem : there is no such table, or something in it is wrong
    """
    if name not in settings.platforms:
        lines = ", ".join(f"{key} = {example}" for key, example in required.items())
        raise DeclarationProblem(
            f"The settings have no table [platforms.{name}].",
            nearest=nearest(name, settings.platforms),
            fix=f"Write it into {FILE}: {lines}.",
        )
    table = {key: os.environ[variable] for key, variable in (variables or {}).items() if os.environ.get(variable)}
    table |= settings.platforms[name]
    for key, value in table.items():
        if key not in kinds:
            raise DeclarationProblem(
                f"The table [platforms.{name}] sets '{key}', which it does not have.",
                nearest=nearest(key, kinds),
                fix=f"It has {', '.join(kinds)}.",
            )
        if not isinstance(value, kinds[key]):
            raise DeclarationProblem(
                f"'{key}' of the table [platforms.{name}] is not {_WORDS[kinds[key].__name__]}.",
                fix="Write it as docs/compare.md shows.",
            )
    for key, example in required.items():
        if not table.get(key):
            instead = f", or set {variables[key]}" if variables and key in variables else ""
            raise DeclarationProblem(
                f"The table [platforms.{name}] has no '{key}'.", fix=f"Add {key} = {example}{instead}."
            )  # fmt: skip
    return table
