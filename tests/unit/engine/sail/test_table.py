"""The table that comes with caudal, and its page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from caudal.engine.sail.compare import all_cases
from caudal.engine.sail.table import FILE, read_table

ROOT = Path(__file__).parents[4]


def test_the_page_says_what_the_table_says():
    spec = importlib.util.spec_from_file_location("equality", ROOT / "tools" / "equality.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(read_table(FILE)), "run: python tools/equality.py"


@pytest.mark.slow
def test_everything_in_the_table_is_compared():
    compared = {(construct.name, construct.key) for case in all_cases() for construct in case.constructs}
    table = read_table(FILE)
    assert set(table.verdicts) <= compared
    assert set(table.rewritings) <= compared


def test_what_is_never_equal_is_not_in_the_table():
    names = {name for name, _ in read_table(FILE).verdicts}
    assert not names & {
        "rand",
        "randn",
        "uuid",
        "shuffle",
        "monotonically_increasing_id",
        "spark_partition_id",
        "current_timestamp",
        "now",
        "first",
        "last",
        "collect_list",
    }


def test_lambdas_and_unknown_types_are_never_taken_for_equal():
    assert not [
        key
        for key, verdict in read_table(FILE).verdicts.items()
        if verdict.status == "equal" and ("unknown" in key[0] or "unknown" in key[1])
    ]
