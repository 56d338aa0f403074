"""Whether a plan may run on Sail: only what was compared and found equal may."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

import pyspark.sql.connect.proto as pb

import caudal
from caudal.engine.sail.analyzer import Analyzer
from caudal.engine.sail.constructs import RULES, constructs_of_plan, walked_constructs
from caudal.engine.sail.frames import frame_of_relation
from caudal.engine.sail.plan_walker import Found, PlanWalker
from caudal.engine.sail.protocol import NotExpressible
from caudal.engine.sail.results import NO_MESSAGE, EngineAgreement
from caudal.engine.sail.rewrite import Rewriter
from caudal.engine.sail.rewriting import OTHER_TYPES
from caudal.engine.sail.signature import Construct
from caudal.engine.sail.table import COMMAND, EqualityTable, installed_table


@dataclass(frozen=True)
class Unequal:
    """A construct that may not run on Sail.

    Attributes
    ----------
    name : str, of the function, the operator or the relation; ``unknown`` where it cannot be told
    arguments : str, the classes of its arguments, or what is not known
    reason : str, a clause that follows "because"
    call_site : str, the user's file and line; empty if unknown
    """

    name: str
    arguments: str
    reason: str
    call_site: str = ""

    @property
    def what(self) -> str:
        """The construct as the object of a sentence, such as ``sum(double) in product.py:12``; no line of caudal itself is named."""
        call = self.arguments if self.name == "unknown" else f"{self.name}({self.arguments})"
        return f"{call} in {PurePath(self.call_site).name}" if self.call_site and not _is_of_caudal(self.call_site) else call


def _is_of_caudal(call_site: str) -> bool:
    return PurePath(call_site.rpartition(":")[0]).is_relative_to(PurePath(caudal.__file__).parent)


def unequal_constructs(frame: Any, *, falls_back: bool = False, any_order: bool = False) -> tuple[Unequal, ...]:
    """Return what in a frame's plan may not run on Sail; nothing if the plan may.

    Parameters
    ----------
    frame : DataFrame of a session of Spark Connect whose server is Sail
    falls_back : bool, whether the caller computes the frame on JVM Spark when Sail raises; then constructs that are equal but for rows
        for which Sail raises and Spark does not may run, too
    any_order : bool, whether what depends on the order of the rows on Spark itself may run: the last digits of sums of doubles, and
        which of 0.0 and -0.0 a minimum is
    """
    table = installed_table()
    if table is None:
        return (
            Unequal(
                "unknown",
                "anything",
                f"this version was not compared with Spark; `{COMMAND}` does so, in about half an hour on two cores",
            ),
        )
    client = frame.sparkSession.client
    return unequal(
        constructs_of_plan(frame._plan.to_proto(client).root, client),
        table,
        falls_back=falls_back,
        any_order=any_order,
    )


def prepared(frame: Any, *, own: Iterable[Any] = (), falls_back: bool = False) -> tuple[Any, tuple[Unequal, ...]]:
    """Return the frame to run on Sail in the place of a frame, and what in it may still give other rows than Spark.

    Its columns are the same; each construct that differs, and for which the table names one that does not, is that one.

    Parameters
    ----------
    frame, falls_back : as of `unequal_constructs`
    own : frames that this one is made of; what lies within them is not looked at
    """
    table = installed_table()
    if table is None:
        return frame, unequal_constructs(frame)
    client = frame.sparkSession.client
    plan = pb.Relation()
    plan.CopyFrom(frame._plan.to_proto(client).root)
    walker = PlanWalker(Analyzer(client), RULES)
    for frame_of_ours in own:
        walker.pass_over(frame_of_ours._plan.to_proto(client).root)
    found = walked_constructs(plan, walker)
    rewriter = Rewriter(table, walker, falls_back)
    try:
        changed = rewriter.rewrite(plan)
    except NotExpressible:
        return frame, unequal(found, table, falls_back=falls_back)
    refused = unequal(found, table, falls_back=falls_back, replaced=rewriter.replaced)
    return (frame_of_relation(frame.sparkSession, plan) if changed else frame), refused


def with_types_of_spark(frame: Any) -> Any:
    """Return a frame whose columns have the types that they have on Spark; nothing else in it is changed."""
    table = installed_table()
    plan = pb.Relation()
    plan.CopyFrom(frame._plan.to_proto(frame.sparkSession.client).root)
    written = plan.SerializeToString().lower()
    if table is None or not any(name.encode() in written for name in OTHER_TYPES):
        return frame
    walker = PlanWalker(Analyzer(frame.sparkSession.client), RULES)
    walked_constructs(plan, walker)
    rewritings = {construct: instead for construct, instead in table.rewritings.items() if construct[0] in OTHER_TYPES}
    try:
        changed = Rewriter(replace(table, rewritings=rewritings), walker, falls_back=True).rewrite(plan)
    except NotExpressible:
        return frame
    return frame_of_relation(frame.sparkSession, plan) if changed else frame


def unequal(
    found: Iterable[Found],
    table: EqualityTable,
    *,
    falls_back: bool = False,
    any_order: bool = False,
    replaced: Collection[Construct] = (),
) -> tuple[Unequal, ...]:
    """Return those of the constructs that the table does not allow, but for those that were replaced; within a query in SQL nothing is."""
    refused = []
    for each in found:
        if table.allows(each.construct, falls_back=falls_back, any_order=any_order):
            continue
        if each.construct in replaced and not each.in_query:
            continue
        verdict = table.verdicts.get((each.construct.name, each.construct.key))
        refused.append(Unequal(each.construct.name, each.construct.key, _reason(each, verdict), each.call_site))
    return tuple(refused)


def _reason(found: Found, verdict: EngineAgreement | None) -> str:
    if found.construct.name == "unknown":
        return "it cannot be told what it computes"
    if verdict is None or verdict.reason.startswith(NO_MESSAGE):
        return "it was not compared"
    if verdict.status == "unsupported":
        return f"Sail does not support it ({verdict.reason})"
    if verdict.example:
        given, spark, sail = map(as_written, verdict.example)
        return f"where {given.partition(': ')[2] or given}, Spark gives {spark}, Sail {sail}"
    return verdict.reason


def as_written(text: str) -> str:
    """Return a value of the comparison as a person writes it: no hexadecimal doubles, no Python objects, of an error its first sentence."""
    text = re.sub(r"'?(-?0x[0-9a-f.]+p[+-]\d+)'?", lambda match: repr(float.fromhex(match[1])), text)
    text = re.sub(r"datetime\.datetime\(([\d, ]+)(?:, tzinfo=zoneinfo\.ZoneInfo\(key='(\w+)'\))?\)", _moment, text)
    text = re.sub(r"datetime\.date\((\d+), (\d+), (\d+)\)", lambda match: str(dt.date(*map(int, match.groups()))), text)
    text = re.sub(r"Decimal\('([^']*)'\)", r"\1", text)
    text = re.sub(r"\b[abc]_(?=\w+ = )", "", text)
    if not text.startswith("error: "):
        return text
    return f"an error ({re.split(r'(?<=[a-z])[.] ', text.removeprefix('error: '))[0][:120]})"


def _moment(match: re.Match[str]) -> str:
    parts = [int(part) for part in match[1].replace(" ", "").strip(",").split(",")]
    moment = dt.datetime(*parts)  # type: ignore[arg-type]
    return f"{moment}{' ' + match[2] if match[2] else ''}"
