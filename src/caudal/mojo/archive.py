"""The parts of a MOJO: a zip with ``model.ini`` (facts, columns, which have categories), ``domains/`` (the categories) and what the algorithm adds."""

from __future__ import annotations

import io
import json
import re
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_BYTES = 4 << 30  # unpacked: what a small file could be blown up to


@dataclass(frozen=True)
class Archive:
    """An opened MOJO.

    Parameters
    ----------
    facts : the section ``[info]``, values as text
    columns : the inputs in the model's order, then the label
    domains : the categories of a column, by its place
    files : the names of all files
    """

    facts: dict[str, str]
    columns: tuple[str, ...]
    domains: dict[int, tuple[str, ...]]
    files: frozenset[str]
    _zip: zipfile.ZipFile = field(repr=False)

    @classmethod
    def of(cls, data: bytes) -> Archive:
        """Return the archive in some bytes.

        Raises
        ------
        ValueError : they hold no MOJO
        """
        try:
            archive = zipfile.ZipFile(io.BytesIO(data))
        except zipfile.BadZipFile as error:
            raise ValueError(f"it is no MOJO: {error}") from None
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise ValueError("it is larger than 4 GiB when unpacked")
        sections: dict[str, list[str]] = {}
        lines = sections.setdefault("", [])
        for line in archive.read("model.ini").decode().split("\n"):
            if title := re.fullmatch(r"\[(\w+)\]", line.strip()):
                lines = sections.setdefault(title[1], [])
            elif line:
                lines.append(line)
        facts = dict(line.split(" = ", 1) for line in sections["info"] if " = " in line)
        escaped = facts.get("escape_domain_values") == "true"
        domains = {}
        for line in sections.get("domains", []):
            place, count, name = re.fullmatch(r"(\d+): (\d+) (\S+)", line).groups()  # type: ignore[union-attr]
            values = archive.read(f"domains/{name}").decode().split("\n")[: int(count)]
            domains[int(place)] = tuple(_unescaped(value) if escaped else value for value in values)
        return cls(facts, tuple(sections["columns"]), domains, frozenset(archive.namelist()), archive)

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return self._zip.read(name)

    def number(self, name: str, default: float | None = None) -> float:
        """Return a number of the facts."""
        text = self.facts.get(name)
        if text is None or text == "null":
            if default is None:
                raise ValueError(f"it has no '{name}'")
            return default
        return float(text)

    def flag(self, name: str) -> bool:
        """Return whether a fact is true; False where it is not given."""
        return self.facts.get(name) == "true"

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """Return an array of the facts, float64 [n]; None where it is not given."""
        text = self.facts.get(name, "null")
        values: Any = None if text == "null" else json.loads(text.replace("Infinity", "1e999"))
        return None if values is None else np.asarray(values, "float64")

    def whole_numbers(self, name: str) -> list[int]:
        """Return an array of whole numbers of the facts; empty where it is not given."""
        values = self.numbers(name)
        return [] if values is None else [int(value) for value in values]


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda match: {"n": "\n", "r": "\r"}.get(match[1], match[1]), value)
