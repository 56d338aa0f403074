"""Encodings that Spark's readers of text are asked to read: those that every Java knows under their usual names.

A runtime that is packaged small has not all that a full one has: the bundled one lacks Hebrew, Arabic and many East Asian ones
(``cp1255``, ``cp1256``, ``cp932`` …). Python has them all, so texts in others are read by caudal.
"""

from __future__ import annotations

import codecs

_NAMES = {"utf-8": "UTF-8", "utf-8-sig": "UTF-8", "iso8859-1": "ISO-8859-1", "ascii": "US-ASCII", "cp1252": "windows-1252"}
ALSO_KNOWN = (
    "iso8859-2", "iso8859-4", "iso8859-5", "iso8859-7", "iso8859-9", "iso8859-13", "iso8859-15", "koi8-r", "koi8-u",
    "cp1250", "cp1251", "cp1253", "cp1254", "cp1257", "cp437", "cp850", "cp852", "cp866", "gbk", "gb18030", "big5", "euc_jp", "euc_kr", "shift_jis",
)  # fmt: skip
"""Python's names, which are Java's too."""


def java_encoding(encoding: str) -> str | None:
    """Return the name by which Spark's readers know an encoding; None where not every Java has it.

    Examples
    --------
    >>> java_encoding("latin1"), java_encoding("windows-1250"), java_encoding("cp932")
    ('ISO-8859-1', 'cp1250', None)
    """
    name = codecs.lookup(encoding).name
    return _NAMES.get(name) or (name if name in ALSO_KNOWN else None)
