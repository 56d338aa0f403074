"""The run's page: valid, self-contained, escaped, whole, and as helpful after a failure."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from caudal.graph.shape import Graph
from caudal.ledger.ledger import Ledger
from caudal.report.page import write_run_page
from caudal.report.step_words import days

VOID = {"meta", "br", "link", "img", "hr", "input", "col"}
SHAPES = {"rect", "path", "circle", "line"}


class Outline(HTMLParser):
    """Reads a page strictly: every tag closed in order; keeps ids, links, texts, tags."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.tags: Counter[str] = Counter()
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        self.ids += [str(value) for name, value in attrs if name == "id"]
        self.links += [str(value) for name, value in attrs if name in ("href", "src", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SHAPES, f"<{tag}/> closes itself, which HTML allows only to shapes"
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1:] == [tag], f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("style", "script"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def outline(ledger: Ledger, run_id: str, graph: Graph, page: Path) -> Outline:
    return Outline(write_run_page(ledger, run_id, graph, page).read_text("utf-8"))


def test_every_page_is_well_formed_and_stands_alone(ledger: Ledger, scene: str, graph: Graph, page: Path) -> None:
    read = outline(ledger, scene, graph, page)
    text = page.read_text("utf-8")
    assert text.lstrip().startswith("<!DOCTYPE html>")
    assert '<html lang="en">' in text
    assert [one for one, count in Counter(read.ids).items() if count > 1] == []
    assert all(link.startswith("#") and link[1:] in read.ids for link in read.links)
    assert read.tags["script"] == 0
    assert "@import" not in text
    assert "url(" not in text
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text) == []


def test_success_tells_everything(ledger: Ledger, run_of: dict[str, str], graph: Graph, page: Path) -> None:
    text = outline(ledger, run_of["success"], graph, page).text
    for said in (
        "taxi",
        "succeeded",
        "2023-02-01 10:00:00 UTC",
        "ana on laptop",
        "43.6 s",
        "1 new file landed for trips_raw (1.4 MB).",
        "68,209",
        "2,297",
        "2023-01-01 to 2023-01-31",
        "between(fare_usd, 0, 500)",
        "set aside",
        "mean 16.12 lies outside",
        "3.422 ± 0.083",
        "lower is better",
        "Chosen by this rule: " + "the lowest mean mae over 3 folds",
        "beats_baseline",
        "49 % better",
        "promoted",
        "1b2c3d4e1b2c",
        "trips_raw version 0 , zones version 0",
        "pickup_at",
        "4,324",
        "6.6 %",
    ):
        assert said in text, said


def test_a_partly_skipped_run_says_what_was_left_alone_and_why(
    ledger: Ledger, run_of: dict[str, str], graph: Graph, page: Path
) -> None:
    text = outline(ledger, run_of["partly"], graph, page).text
    for said in (
        "The product's code has changed since the run before (20230201T100000-aa11bb).",
        "3 steps had nothing to do.",
        "no new file",
        "champion and features are as before",
        "version 1 stays in production",
        "not passed",
        "still being written",
        "+1 since the run before",
    ):
        assert said in text, said
    assert '<tr class="idle">' in page.read_text("utf-8")


def test_a_failure_says_what_where_how_to_mend_and_what_is_left(
    ledger: Ledger, run_of: dict[str, str], graph: Graph, page: Path
) -> None:
    text = outline(ledger, run_of["failure"], graph, page).text
    for said in (
        "What went wrong in table:trips",
        "1,204 of 68,211 rows have no match.",
        "caudal quarantine show trips",
        "products/taxi/product.py:48",
        "broken 1,204",
        "5 did not start",
        "The same command goes on from here.",
        "not started",
        "Not trained in this run.",
    ):
        assert said in text, said


def test_a_run_that_was_cut_off_says_so(ledger: Ledger, run_of: dict[str, str], graph: Graph, page: Path) -> None:
    text = outline(ledger, run_of["cut_off"], graph, page).text
    assert "cut off" in text
    assert "it was killed, or the machine stopped" in text


def test_hostile_names_stay_text(ledger: Ledger, run_of: dict[str, str], graph: Graph, page: Path) -> None:
    read = outline(ledger, run_of["hostile"], graph, page)
    raw = page.read_bytes()
    assert b"<script" not in raw
    assert b"<b>" not in raw
    assert not [name for name, _ in read.attributes if name.startswith("on")]
    assert read.text.count("<script>alert('x')</script>&amp;<b>") >= 12  # as the reader is to see it
    assert b"\x00" not in raw
    assert b"\x1b" not in raw
    raw.decode("utf-8")


def test_the_page_is_the_same_when_written_again(ledger: Ledger, scene: str, graph: Graph, tmp_path: Path) -> None:
    first, again = (write_run_page(ledger, scene, graph, tmp_path / name).read_bytes() for name in ("1.html", "2.html"))
    assert first == again


def test_the_page_is_written_whole_or_not_at_all(
    ledger: Ledger, run_of: dict[str, str], graph: Graph, page: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("the page before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        write_run_page(ledger, run_of["success"], graph, page)
    assert page.read_text() == "the page before"
    assert [one.name for one in page.parent.iterdir()] == [page.name]


def test_folders_above_the_page_are_made(ledger: Ledger, run_of: dict[str, str], graph: Graph, tmp_path: Path) -> None:
    assert write_run_page(ledger, run_of["success"], graph, tmp_path / "runs" / "taxi" / "1.html").is_file()


def test_days_are_told_as_stretches() -> None:
    assert days([]) == ""
    assert days(["2023-02-01", "2023-01-31", "unknown"]) == "2023-01-31 to 2023-02-01, unknown"
    assert days(["2023-01-01", "2023-01-03", "2023-01-05", "2023-01-07"]) == "2023-01-01, 2023-01-03, 2023-01-05 and 1 stretch more"
