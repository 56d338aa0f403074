"""Values of JSON as text, as they are written: no number passes through a double, neither by itself nor within another value."""

from __future__ import annotations

import pytest

from caudal.stages.ingest.formats.json_rows import TextRows

NUMBERS = [
    "0.1000000000000000055511151231257827", "1.10", "-0.0", "123456789012345678901234567890", "1e400", "1E-400", "9007199254740993", "100.0",
    "0.30000000000000004",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_numbers_are_the_text_that_was_written(number: str) -> None:
    rows = TextRows()
    assert rows.add(f'{{"n": {number}, "list": [{number}], "object": {{"n":{number}}}}}') == 1
    assert rows.column("n").to_pylist() == [number]
    assert rows.column("list").to_pylist() == [f"[{number}]"]
    assert rows.column("object").to_pylist() == [f'{{"n":{number}}}']
    assert rows.faults == {}
