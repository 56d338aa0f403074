"""The table of what Sail computes as Spark does, as data."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.engine.cache import cache_dir
from caudal.engine.sail.functions import ORDER_DEPENDENT
from caudal.engine.sail.results import EngineAgreement, worse
from caudal.engine.sail.signature import Construct

if TYPE_CHECKING:
    from caudal.engine.sail.cases import Case

FILE = Path(__file__).with_name("table.json")
_UNORDERED = "rewritten, in any order"
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
    """

    pysail: str
    spark: str
    verdicts: dict[tuple[str, str], EngineAgreement] = field(default_factory=dict)
    rewritings: dict[tuple[str, str], str] = field(default_factory=dict)
    unordered: set[tuple[str, str]] = field(default_factory=set)

    def allows(self, construct: Construct, *, falls_back: bool = False, rewrites: bool = False, any_order: bool = False) -> bool:
        """Return whether a construct may run on Sail; `caudal.engine.sail.check.unequal_constructs` says what the conditions mean."""
        key = construct.name, construct.key
        verdict = self.verdicts.get(key)
        statuses = {"equal"} | ({"raises"} if falls_back else set()) | ({"order"} if any_order else set())
        allowed = verdict is not None and verdict.status in statuses
        return allowed or (rewrites and key in self.rewritings and (any_order or key not in self.unordered))

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
            status = _UNORDERED if (name, arguments) in self.unordered else "rewritten"
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
    """Return the table of what was compared; of several cases of a construct the worst verdict counts."""
    table = EqualityTable(version("pysail"), _spark_version())
    for case, verdict in zip(cases, verdicts, strict=True):
        if verdict is not None and case.instead:
            if verdict.status in ("equal", "order"):
                key = case.construct.name, case.construct.key
                table.rewritings[key] = case.template
                if verdict.status == "order":
                    table.unordered.add(key)
        elif verdict is not None:
            for construct in case.constructs:
                key = construct.name, construct.key
                judged = _by_order(verdict) if _depends_on_order(construct) else verdict
                table.verdicts[key] = worse(table.verdicts.get(key, judged), judged)
    return table


def _depends_on_order(construct: Construct) -> bool:
    if not any(kind in ("double", "float") for kind in construct.arguments):
        return False
    # Over an ordered frame, rows are added in its order.
    unordered = not construct.name.endswith(" over") or construct.arguments[-1] == "whole"
    return unordered and construct.name.removesuffix(" over").removesuffix(" distinct") in ORDER_DEPENDENT


def _by_order(verdict: EngineAgreement) -> EngineAgreement:
    return worse(verdict, EngineAgreement("order", reason="the last digits depend on the order in which rows are added"))


def read_table(file: Path) -> EqualityTable:
    """Return the table in a file."""
    document = json.loads(file.read_text(encoding="utf-8"))
    table = EqualityTable(document["pysail"], document["spark"])
    for name, entry in document["constructs"].items():
        for arguments in entry.get("equal", ()):
            table.verdicts[name, arguments] = EngineAgreement("equal")
        for status in ("rewritten", _UNORDERED):
            for arguments, template in entry.get(status, {}).items():
                table.rewritings[name, arguments] = template
        table.unordered |= {(name, arguments) for arguments in entry.get(_UNORDERED, {})}
        for status in entry.keys() - {"equal", "rewritten", _UNORDERED}:
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


def _spark_version() -> str:
    import pyspark

    return str(pyspark.__version__)
