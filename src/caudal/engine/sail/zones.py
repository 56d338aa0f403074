"""Time zones by name: those for which Sail converts times as Spark does, from 1840 to 2099.

Sail has the rules of zones built in, Spark takes those of its Java, and beyond 2099 Sail knows no more changes of clocks. So every zone was
compared at each change of its clocks (`caudal.engine.sail.compare_zones`); a conversion may run on Sail for times within these years, if
this machine's Java has the rules that were compared.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from caudal.engine.java import spark_java

FILE = Path(__file__).with_name("zones.json")
CONVERSIONS = ("from_utc_timestamp", "to_utc_timestamp")
BOUND_S = 4_102_272_000
"""Seconds from 1970 to 2099-12-30, and back to 1840-01-04."""


def zone_rewritings(pysail: str) -> Iterator[tuple[tuple[str, str], str]]:
    """Yield what stands for a conversion by a zone, by the name and the arguments of the construct; it may raise where Spark does not."""
    for zone in sorted(equal_zones(pysail)):
        for name in CONVERSIONS:
            yield (name, f"timestamp, '{zone}'"), _within_bounds(name)


def _within_bounds(name: str) -> str:
    left = "cast(raise_error('CAUDAL: a time before 1840 or after 2099 is left to Spark') AS timestamp)"
    beyond = f"abs(cast(unix_micros({{0}}) AS double)) >= {BOUND_S}000000.0D"
    return f"CASE WHEN {beyond} THEN {left} ELSE {name}({{0}}, {{1}}) END"


def equal_zones(pysail: str) -> frozenset[str]:
    """Return the zones that this version of Sail and this machine's Java convert alike; without Spark, those that the bundled one does."""
    document = json.loads(FILE.read_text(encoding="utf-8"))
    if document["pysail"] != pysail:
        return frozenset()
    compared: Mapping[str, str] = document["rules"]
    java = spark_java()
    if java is None:
        return frozenset(compared)
    installed = clock_rules(java.runtime / "lib" / "tzdb.dat")
    return frozenset(zone for zone, rules in compared.items() if installed.get(zone) == rules)


@cache
def clock_rules(file: Path) -> Mapping[str, str]:
    """Return a digest of the rules of each zone in a Java's ``tzdb.dat``; empty if there is none, or it is of another form.

    The form is that of `java.time.zone.TzdbZoneRulesProvider`: versions, names, rules, which name has which rules, and aliases.
    """
    try:
        content = _Reader(file.read_bytes())
        if content.take(1) != b"\x01" or content.text() != "TZDB":
            return {}
        versions = [content.text() for _ in range(content.number())]
        names = [content.text() for _ in range(content.number())]
        rules = [hashlib.sha256(content.take(content.number())).hexdigest()[:8] for _ in range(content.number())]
        digests: dict[str, str] = {}
        for _ in versions:
            for _ in range(content.number()):
                name = names[content.number()]
                digests[name] = rules[content.number()]
        for _ in range(content.number()):
            alias = names[content.number()]
            digests[alias] = digests[names[content.number()]]
    except (OSError, struct.error, IndexError, KeyError, UnicodeDecodeError):
        return {}
    return digests


class _Reader:
    """Reads Java's ``DataOutputStream``."""

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def take(self, length: int) -> bytes:
        self._at += length
        return self._content[self._at - length : self._at]

    def number(self) -> int:
        return int(struct.unpack(">H", self.take(2))[0])

    def text(self) -> str:
        return self.take(self.number()).decode()
