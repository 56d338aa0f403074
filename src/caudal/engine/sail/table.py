"""The table of what Sail computes as Spark does, as data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.engine.cache import cache_dir
from caudal.engine.java import major, spark_java
from caudal.engine.sail.doubts import doubts_of
from caudal.engine.sail.results import EngineAgreement, worse
from caudal.engine.sail.signature import Construct
from caudal.engine.sail.zones import zone_rewritings

if TYPE_CHECKING:
    from caudal.engine.sail.cases import Case

FILE = Path(__file__).with_name("table.json")
_UNORDERED = "rewritten, in any order"
_FALLIBLE = "rewritten, may raise"
_REWRITTEN = ("rewritten", _UNORDERED, _FALLIBLE)
SHORTEST_DIGITS = 19
"""The first version of Java that writes a double with the fewest digits that tell it from others, as Sail does (JDK-4511638)."""
COMMAND = "python -m caudal.engine.sail.compare"


@dataclass
class EqualityTable:
    """What was compared, of which versions.

    Attributes
    ----------
    pysail, spark : str, the versions
    verdicts : by name and arguments of a construct
    rewritings : by name and arguments, the text that Sail computes instead, with ``{0}``, ``{1}`` … for the arguments
    unordered : those of the rewritings that depend on the order of the rows, as Spark's own does
    fallible : those of the rewritings that raise for rows for which Spark does not
    """

    pysail: str
    spark: str
    verdicts: dict[tuple[str, str], EngineAgreement] = field(default_factory=dict)
    rewritings: dict[tuple[str, str], str] = field(default_factory=dict)
    unordered: set[tuple[str, str]] = field(default_factory=set)
    fallible: set[tuple[str, str]] = field(default_factory=set)

    def updated(self, other: EqualityTable, names: Collection[str]) -> EqualityTable:
        """Return the table with what another says of the constructs of some names in the place of what this one says of them."""

        def merged(mine: Mapping[tuple[str, str], Any], others: Mapping[tuple[str, str], Any]) -> dict[tuple[str, str], Any]:
            return {key: value for key, value in mine.items() if key[0] not in names} | {
                key: value for key, value in others.items() if key[0] in names
            }

        return EqualityTable(
            other.pysail,
            other.spark,
            merged(self.verdicts, other.verdicts),
            merged(self.rewritings, other.rewritings),
            set(merged(dict.fromkeys(self.unordered), dict.fromkeys(other.unordered))),
            set(merged(dict.fromkeys(self.fallible), dict.fromkeys(other.fallible))),
        )

    def rewriting(self, construct: Construct, *, falls_back: bool = False, any_order: bool = False) -> str | None:
        """Return the text to compute in the place of a construct; None if there is none that may stand for it."""
        key = construct.name, construct.key
        if (key in self.unordered and not any_order) or (key in self.fallible and not falls_back):
            return None
        return self.rewritings.get(key)

    def allows(self, construct: Construct, *, falls_back: bool = False, any_order: bool = False) -> bool:
        """Return whether a construct may run on Sail; `caudal.engine.sail.check.unequal_constructs` says what the conditions mean."""
        verdict = self.verdicts.get((construct.name, construct.key))
        statuses = {"equal"} | ({"raises"} if falls_back else set()) | ({"order"} if any_order else set())
        return verdict is not None and verdict.status in statuses

    def write(self, file: Path) -> None:
        """Write the table as JSON: a line for what is equal of a construct, a line for each difference, all sorted."""
        by_name: dict[str, dict[str, Any]] = {}
        for (name, arguments), verdict in sorted(self.verdicts.items()):
            entry = by_name.setdefault(name, {})
            if verdict.status == "equal":
                entry.setdefault("equal", []).append(arguments)
            else:
                told = list(verdict.example) if verdict.example else verdict.reason
                entry.setdefault(verdict.status, {})[arguments] = told
        for (name, arguments), template in sorted(self.rewritings.items()):
            key = name, arguments
            status = _UNORDERED if key in self.unordered else _FALLIBLE if key in self.fallible else "rewritten"
            by_name.setdefault(name, {}).setdefault(status, {})[arguments] = template
        lines = [f'{{\n"pysail": {json.dumps(self.pysail)},\n"spark": {json.dumps(self.spark)},\n"constructs": {{']
        blocks = []
        for name, entry in by_name.items():
            parts = []
            for status, told in entry.items():
                if isinstance(told, list):
                    parts.append(f'  "equal": {json.dumps(told, ensure_ascii=False)}')
                else:
                    rows = ",\n".join(
                        f"   {json.dumps(arguments, ensure_ascii=False)}: {json.dumps(text, ensure_ascii=False)}"
                        for arguments, text in told.items()
                    )
                    parts.append(f'  "{status}": {{\n{rows}\n  }}')
            blocks.append(f" {json.dumps(name, ensure_ascii=False)}: {{\n" + ",\n".join(parts) + "\n }")
        file.write_text(lines[0] + "\n" + ",\n".join(blocks) + "\n}\n}\n", encoding="utf-8")

    def summary(self) -> str:
        """Return a sentence with the counts."""
        counts = Counter(verdict.status for verdict in self.verdicts.values())
        said = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
        return f"Sail {self.pysail} beside Spark {self.spark}: {len(self.verdicts)} constructs with their types: {said}; {len(self.rewritings)} rewritten."


def tabulate(cases: Sequence[Case], verdicts: Sequence[EngineAgreement | None]) -> EqualityTable:
    """Return the table of what was compared; of several cases of a construct, or of a rewriting of it, the worst verdict counts."""
    table = EqualityTable(version("pysail"), _spark_version())
    rewritings: dict[tuple[tuple[str, str], str], EngineAgreement] = {}
    for case, verdict in zip(cases, verdicts, strict=True):
        if verdict is not None and case.instead:
            rewriting = (case.construct.name, case.construct.key), case.template
            rewritings[rewriting] = worse(rewritings.get(rewriting, verdict), verdict)
        elif verdict is not None:
            for construct in case.constructs:
                key = construct.name, construct.key
                judged = verdict
                for doubt in doubts_of(construct):
                    judged = worse(doubt, judged)
                table.verdicts[key] = worse(table.verdicts.get(key, judged), judged)
    for (key, template), verdict in rewritings.items():
        if verdict.status in ("equal", "order", "raises") and key not in table.rewritings:
            table.rewritings[key] = template
            table.unordered |= {key} if verdict.status == "order" else set()
            table.fallible |= {key} if verdict.status == "raises" else set()
    return table


def read_table(file: Path) -> EqualityTable:
    """Return the table in a file."""
    document = json.loads(file.read_text(encoding="utf-8"))
    table = EqualityTable(document["pysail"], document["spark"])
    for name, entry in document["constructs"].items():
        for arguments in entry.get("equal", ()):
            table.verdicts[name, arguments] = EngineAgreement("equal")
        for status in _REWRITTEN:
            for arguments, template in entry.get(status, {}).items():
                table.rewritings[name, arguments] = template
        table.unordered |= {(name, arguments) for arguments in entry.get(_UNORDERED, {})}
        table.fallible |= {(name, arguments) for arguments in entry.get(_FALLIBLE, {})}
        for status in entry.keys() - {"equal", *_REWRITTEN}:
            for arguments, told in entry[status].items():
                verdict = (
                    EngineAgreement(status, reason=told)
                    if isinstance(told, str)
                    else EngineAgreement(status, example=(told[0], told[1], told[2]))
                )
                table.verdicts[name, arguments] = verdict
    return table


def cached_table_file(pysail: str) -> Path:
    """Return where the table of another version of Sail lies in the user's cache."""
    return cache_dir("sail") / f"table-{pysail}-spark-{_spark_version()}.json"


@cache
def installed_table() -> EqualityTable | None:
    """Return the table for the installed Sail and this machine's Java; None if there is none."""
    table = stored_table()
    if table is not None and not _java_writes_shortest_digits():
        table.rewritings.pop(("cast", "double, string"), None)
    if table is not None:
        conversions = dict(zone_rewritings(table.pysail))
        table.rewritings |= conversions
        table.fallible |= conversions.keys()
    return table


def stored_table() -> EqualityTable | None:
    """Return the table for the installed Sail: the one that comes with caudal, or the user's own; None if there is none."""
    try:
        installed = version("pysail")
    except PackageNotFoundError:
        return None
    for file in (FILE, cached_table_file(installed)):
        if file.is_file():
            table = read_table(file)
            if (table.pysail, table.spark) == (installed, _spark_version()):
                return table
    return None


def _java_writes_shortest_digits() -> bool:
    java = spark_java()
    return java is None or major(java.version) >= SHORTEST_DIGITS  # without one there is nothing that Sail's rows could differ from


def _spark_version() -> str:
    import pyspark

    return str(pyspark.__version__)
