"""Explain a call of caudal that raised TypeError: the missing or unknown argument, and the nearest right one."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from caudal.errors import nearest


@dataclass(frozen=True)
class Misuse:
    """A call of caudal with a missing or unknown argument: a sentence, the nearest right name, and the fix."""

    what: str
    nearest: str | None
    fix: str


def misuse(error: Exception, names: Mapping[str, Callable[..., object]]) -> Misuse | None:
    """Return the mistake in a call of caudal; None where the error is about something else.

    Parameters
    ----------
    names : mapping of qualified name to function, such as ``Product.features``

    Examples
    --------
    >>> def tumble(frame, width, *, by=()): ...
    >>> misuse(TypeError("tumble() got an unexpected keyword argument 'bye'"), {"tumble": tumble}).nearest
    'by'
    >>> misuse(TypeError("tumble() missing 1 required positional argument: 'width'"), {"tumble": tumble}).what
    "tumble needs 'width', which is not given."
    """
    if not isinstance(error, TypeError):
        return None
    match = re.match(r"(\w+(?:\.\w+)*)\(\) (missing|got an unexpected keyword argument) (.*)", str(error))
    if match is None or match.group(1) not in names:
        return None
    name, kind, rest = match.groups()
    takes = [parameter for parameter in inspect.signature(names[name]).parameters if parameter not in ("self", "cls")]
    display_name = name.replace("Product.", "product.")
    arguments = re.findall(r"'(\w+)'", rest)
    fix = f"It takes {', '.join(takes)}."
    if kind == "missing":
        return Misuse(
            f"{display_name} needs {' and '.join(repr(argument) for argument in arguments)}, which {'is' if len(arguments) == 1 else 'are'} not given.",
            None,
            fix,
        )
    return Misuse(f"{display_name} has no argument '{arguments[0]}'.", nearest(arguments[0], takes), fix)
