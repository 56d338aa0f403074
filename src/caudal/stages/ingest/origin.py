"""The name of a file found by a pattern: its path below the data folder, so that the folder may be moved, mounted elsewhere or linked.

With an absolute pattern or an address, files are named by their full path. Homes of earlier versions hold absolute paths of files
found by a relative pattern; `former_name` returns the current names of these.
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


def base_folder(pattern: str, data: Path | None) -> Path | None:
    """Return the folder that names of files are relative to; None where they are full paths or addresses."""
    return data.absolute() if data is not None and is_relative(pattern) else None


def origin(path: Path, base: Path | None) -> str:
    """Return the name of a found file.

    Examples
    --------
    >>> origin(Path("/mnt/data/orders/may.csv"), Path("/mnt/data")), origin(Path("/mnt/orders/may.csv"), None)
    ('orders/may.csv', '/mnt/orders/may.csv')
    """
    return str(path) if base is None else path.relative_to(base).as_posix()


def former_pattern(pattern: str, base: Path | None) -> str | None:
    """Return a regular expression, valid in Python and Java, that finds the name of a file (group 1) in the full path that older homes
    store; None where names are full paths.

    The former data folder is not known, but the depth of the pattern is. A pattern that begins with ``**`` has no fixed depth:
    its files are recognised by the current data folder.
    """
    if base is None:
        return None
    parts = Path(pattern).parts
    if "**" not in parts:
        return "^/(?:.*/)?({})$".format("/".join("[^/]+" if _magic(part) else re.escape(part) for part in parts))
    prefix = ""
    for part in parts:
        if _magic(part):
            break
        prefix += re.escape(part) + "/"
    base_expression = f"{re.escape(base.as_posix().rstrip('/'))}/"
    return f"^(?:{base_expression}|/(?:.*?/)?)({prefix}.+)$" if prefix else f"^{base_expression}(.+)$"


def former_name(pattern: str, base: Path | None) -> Callable[[str], str]:
    """Return a function from a stored name, which may be the full path of an older home, to the current name.

    Examples
    --------
    >>> name = former_name("orders/*.csv", Path("/new"))
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
