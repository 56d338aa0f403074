"""The name of a file that was found by a pattern: its path below the data folder, so that the folder may move, be mounted elsewhere or be linked.

A pattern that is absolute, or an address, names its files by where they are. Homes that were made before hold absolute paths of files
found by a relative pattern; `former` gives the names that these have now.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

_MAGIC = "*?["


def is_relative(pattern: str) -> bool:
    """Return whether files that match a pattern are named by their path below the data folder.

    Examples
    --------
    >>> is_relative("orders/*.csv"), is_relative("/mnt/orders/*.csv"), is_relative("s3://bucket/*.csv")
    (True, False, False)
    """
    return "://" not in pattern and not Path(pattern).expanduser().is_absolute()


def base_of(pattern: str, data: Path | None) -> Path | None:
    """Return the folder that names of files are meant below; None where they are whole paths or addresses."""
    return data.absolute() if data is not None and is_relative(pattern) else None


def origin(path: Path, base: Path | None) -> str:
    """Return the name of a file that was found.

    Examples
    --------
    >>> origin(Path("/mnt/data/orders/may.csv"), Path("/mnt/data")), origin(Path("/mnt/orders/may.csv"), None)
    ('orders/may.csv', '/mnt/orders/may.csv')
    """
    return str(path) if base is None else path.relative_to(base).as_posix()


def former_pattern(pattern: str, base: Path | None) -> str | None:
    """Return a regular expression, of Python's and Java's kind, that finds the name of a file (group 1) in the whole path that older homes
    keep; None where names are whole paths.

    The data folder of then is not known, but how many folders deep the pattern goes. One that begins with ``**`` says nothing of that:
    its files are told by the data folder of now.
    """
    if base is None:
        return None
    parts = Path(pattern).parts
    if "**" not in parts:
        return "^/(?:.*/)?({})$".format("/".join("[^/]+" if _magic(part) else re.escape(part) for part in parts))
    head = ""
    for part in parts:
        if _magic(part):
            break
        head += re.escape(part) + "/"
    below = f"{re.escape(base.as_posix().rstrip('/'))}/"
    return f"^(?:{below}|/(?:.*?/)?)({head}.+)$" if head else f"^{below}(.+)$"


def former(pattern: str, base: Path | None) -> Callable[[str], str]:
    """Return what gives a file's name now, whether it is kept by that or by the whole path of older homes.

    Examples
    --------
    >>> name = former("orders/*.csv", Path("/new"))
    >>> name("/old/data/orders/may.csv"), name("orders/may.csv"), name("/old/data/bills/may.csv")
    ('orders/may.csv', 'orders/may.csv', '/old/data/bills/may.csv')
    """
    expression = former_pattern(pattern, base)
    if expression is None:
        return str
    compiled = re.compile(expression, re.DOTALL)

    def name(path: str) -> str:
        match = compiled.match(path)
        return path if match is None else match.group(1)

    return name


def _magic(part: str) -> bool:
    return any(sign in part for sign in _MAGIC)
