"""The oracle can fail: a mend is taken back, and the oracle finds the fault again, within a few histories of the parts that it is about."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, islice
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from tests.differential.campaign import SECONDS
from tests.differential.grammar import HOURS, Grammar, Source
from tests.differential.histories import History, drawn, encoded
from tests.differential.oracle import Difference, Fresh, judge

from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed

MOST = 10  # products until a fault is found

Patch = pytest.MonkeyPatch


@dataclass(frozen=True)
class Fault:
    """A mend that is taken back.

    Parameters
    ----------
    take_back : brings the fault back
    grammar : the products in which it is looked for
    about : tells histories that can show it
    edits, calm, stretches : as in `histories.written`
    fresh : whether the reference alone tells it
    """

    take_back: Callable[[Patch], None]
    grammar: Grammar
    about: Callable[[History], bool]
    edits: bool = False
    calm: bool = False
    stretches: int = 6
    fresh: Fresh = "none"


def look_backs_do_not_add_up(patch: Patch) -> None:
    from caudal.engine import reach

    own = reach._Walk._window

    def farthest(self: Any, node: Any, below: float, *more: Any) -> float:
        return max(below, own(self, node, 0.0, *more))

    patch.setattr(reach._Walk, "_window", farthest)


def windows_are_cut_by_utc(patch: Patch) -> None:
    from caudal.runtime import table_frame

    patch.setattr(table_frame, "in_zone", lambda tz: contextlib.nullcontext())


def fills_know_nothing_of_gaps(patch: Patch) -> None:
    from pyspark.sql import functions as F

    from caudal.engine.clock import Clock

    patch.setattr(Clock, "never", lambda self, *slot: F.lit(False))


def a_second_module_does_not_count(patch: Patch) -> None:
    from caudal.graph import fingerprint

    own = fingerprint._parts

    def parts(*about: Any) -> dict[str, str]:
        return {name: said for name, said in own(*about).items() if not name.startswith(("module:", "file:", "value:"))}

    patch.setattr(fingerprint, "_parts", parts)


def the_clock_tells_what_is_newest(patch: Patch) -> None:
    own = Ledger.find

    def by_clock(self: Ledger, records: Any, /, **asked: Any) -> list[dict[str, Any]]:
        rows = own(self, records, **asked)
        return sorted(rows, key=lambda row: row["landed_at"]) if records is landed else rows

    patch.setattr(Ledger, "find", by_clock)


def the_first_file_names_columns(patch: Patch) -> None:
    from caudal.stages.ingest import contract
    from caudal.stages.ingest.added_columns import AddedColumn, clean_name

    def named(files: Any, known: Sequence[AddedColumn], taken: Any) -> list[AddedColumn]:
        columns, used = list(known), {name.casefold() for name in (*taken, *(column.name for column in known))}
        for name in dict.fromkeys(name for names in files for name in names):
            if not any(name in column.raw for column in columns):
                columns.append(AddedColumn(clean_name(name, used), frozenset([name])))
                used.add(columns[-1].name.casefold())
        return columns

    patch.setattr(contract, "name_columns", named)


def looks_further_than_its_farthest(history: History) -> bool:
    back = [HOURS[step.options["back"]] for table in history.product.tables for step in table.steps if "back" in step.options]
    return history.product.tables[0].partition == "day" and len(back) > 1 and ceil(sum(back) / 24) > ceil(max(back) / 24)


def fills_hours(history: History) -> bool:
    filled = [step for table in history.product.tables for step in table.steps if step.options.get("fill") is not None]
    return any(step.options["width"] == "1 hour" for step in filled)


def edits_what_a_table_takes(history: History) -> bool:
    places = {step.options["place"] for table in history.product.tables for step in table.steps}
    return bool(places & {"module", "settings"} & set(history.moments[1].numbers))


def brings_a_file_again_by_a_clock_gone_back(history: History) -> bool:
    before, again = ({put.name for put in moment.puts} for moment in history.moments)
    return history.moments[1].shift_s < 0 and bool(before & again)


def names_columns_in_another_order(history: History) -> bool:
    return any(_alike(history, source, whole=False) != _alike(history, source, whole=True) for source in history.product.sources)


def _alike(history: History, source: Source, *, whole: bool) -> list[str]:
    """Return two names that are cleaned to one, in the order in which files have them: moment by moment, or all files as they are last."""
    moments = [{put.name: put.content for put in moment.puts if put.source == source.name} for moment in history.moments]
    reads = [{name: content for files in moments for name, content in files.items()}] if whole else moments
    by_hash = [sorted(files.values(), key=lambda content: sha256(encoded(content, source)).digest()) for files in reads]
    return list(dict.fromkeys(name for read in by_hash for content in read for name in content.columns if name in ("w t", "w_t")))


def by_days(history: History) -> bool:
    return history.product.tables[0].partition == "day"


ZONES = ("America/New_York", "Europe/Berlin")
DAYS = ("day",)
FAULTS = {
    "look-backs": Fault(
        look_backs_do_not_add_up, Grammar(1, 1, operations=("rolling", "past_mean", "tumble", "lag"), partitions=DAYS, drifts=(False,)),
        looks_further_than_its_farthest, stretches=10,
    ),
    "windows": Fault(windows_are_cut_by_utc, Grammar(1, 1, ZONES, ("timestamp_utc",), operations=("tumble",)), by_days),
    "fills": Fault(fills_know_nothing_of_gaps, Grammar(1, 1, ZONES, ("timestamp",), operations=("tumble",)), fills_hours),
    "code": Fault(a_second_module_does_not_count, Grammar(1, 1, operations=("scale",)), edits_what_a_table_takes, edits=True),
    "clocks": Fault(the_clock_tells_what_is_newest, Grammar(1, 1, operations=("where",)), brings_a_file_again_by_a_clock_gone_back),
    "names": Fault(the_first_file_names_columns, Grammar(1, 1, operations=("where",), drifts=(True,)), names_columns_in_another_order, calm=True, fresh="last"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_each_mend_is_where_it_is_taken_back(name: str, monkeypatch: Patch) -> None:
    with monkeypatch.context() as patch:
        FAULTS[name].take_back(patch)


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.skipif(not SECONDS, reason="what takes mends back takes minutes: make differential")
@pytest.mark.parametrize("name", FAULTS)
def test_a_mend_taken_back_is_found(
    name: str, small: None, monkeypatch: Patch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fault = FAULTS[name]
    numbers = (number for number in count() if fault.about(history_of(fault, number)))
    difference: Difference | None = None
    began_s, histories = time.process_time(), 0
    with monkeypatch.context() as patch:
        fault.take_back(patch)
        for number in islice(numbers, MOST):
            history = history_of(fault, number)
            histories += len(history.product.sources) * history.stretches
            difference, _ = judge(history, tmp_path / f"{number}", fresh=fault.fresh)
            shutil.rmtree(tmp_path / f"{number}")
            if difference is not None:
                break
    with capsys.disabled():
        print(
            f"\n{name}: seed {number}, after {histories} histories, {time.process_time() - began_s:.0f} s of Python: {difference}"
        )
    assert difference is not None, f"not found in {MOST} products"
    assert "failed" not in difference.between, difference
    assert judge(history, tmp_path / "mended", fresh=fault.fresh)[0] is None, "and the mend mends it"


def history_of(fault: Fault, number: int) -> History:
    """Return the history of a seed in which a fault is looked for."""
    return drawn(number, fault.grammar, stretches=fault.stretches, moments=2, edits=fault.edits, calm=fault.calm)
