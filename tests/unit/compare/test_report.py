"""The report in each language: whole, the same twice, and of what there is."""

from __future__ import annotations

import re
import string
import struct
import zlib
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from caudal.compare.conclusions import draw_conclusions
from caudal.compare.platforms.colab import AWAITS
from caudal.compare.report.blocks import Plot
from caudal.compare.report.content import build_report
from caudal.compare.report.language import LANGUAGES
from caudal.compare.report.page import report_page
from caudal.compare.report.words import english, spanish
from caudal.compare.report.write import write_report
from caudal.errors import DeclarationProblem


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


PNG = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 2, 8, 0, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(b"\0\0\0\0\0" * 2)) + chunk(b"IEND", b"")
)  # fmt: skip


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_languages_have_the_same_texts_with_the_same_figures() -> None:
    assert english.TEXTS.keys() == spanish.TEXTS.keys()
    assert {key for key in english.TEXTS if fields(english.TEXTS[key]) != fields(spanish.TEXTS[key])} == set()


def test_every_conclusion_has_a_sentence() -> None:
    source = Path(english.__file__).parents[2]
    text = "".join((source / name).read_text() for name in ("conclusions.py", "stage_conclusions.py"))
    keys = {
        *re.findall(r'(?:conclusion|_of)\(\s*"(\w+)"', text),
        *re.findall(r'key = "(\w+)"', text),
        *re.findall(r'else "(\w+)"', text),
    }
    assert len(keys) > 30
    assert {key for key in keys if f"conclusion.{key}" not in english.TEXTS} == set()


@pytest.mark.parametrize(("code", "number", "small"), [("en", "1,234.5 … 12.0 s", "68 %"), ("es", "1\u202f234,5 … 12,0 s", "68 %")])
def test_numbers_as_the_language_writes_them(code: str, number: str, small: str) -> None:
    language = LANGUAGES[code]
    assert language.localized("1,234.5") + " … " + language.figure("work_s", 12.0) == number
    assert language.figure("part_share", 0.68) == small


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_whole_report(made: ModuleType, tmp_path: Path, code: str) -> None:
    document = made.sample()
    page, pdf = write_report(document, tmp_path, (code,), {"local[2]": [("jobs", PNG)]})
    text = page.read_text()
    assert f'<html lang="{code}">' in text
    assert "data:image/png;base64," in text
    assert not re.search(r'(?:src|href)="(?!#|data:)', text)  # one file
    for section in (
        "conclusions",
        "architectures",
        "measures",
        "stages",
        "faults",
        "tables",
        "scaling",
        "environment",
        "screenshots",
        "method",
    ):
        assert f'<section id="{section}">' in text
    HTMLParser().feed(text)
    assert pdf.read_bytes().startswith(b"%PDF")
    first = pdf.read_bytes()
    write_report(document, tmp_path, (code,), {"local[2]": [("jobs", PNG)]})
    assert pdf.read_bytes() == first


def test_drawings_are_xml(made: ModuleType) -> None:
    report = build_report(made.sample(), LANGUAGES["es"])
    plots = [block for part in report.sections for block in part.blocks if isinstance(block, Plot)]
    assert len(plots) > 15
    for plot in plots:
        ElementTree.fromstring(f"<svg>{plot.inner}</svg>")


def test_texts_are_texts_and_secrets_are_not_shown(made: ModuleType) -> None:
    document = made.sample()
    document["platforms"][1]["title"] = "<script>alert(1)</script>"
    document["faults"][1]["why"] = "It was refused: postgresql://me:hunter2@db/x"
    text = report_page(build_report(document, LANGUAGES["en"]))
    assert "<script>" not in text
    assert "hunter2" not in text


@pytest.mark.parametrize("emptied", ["platforms", "pairs", "tables", "faults", "scaling", "differences", "sources", "conclusions"])
def test_what_there_is_not_is_said(made: ModuleType, tmp_path: Path, emptied: str) -> None:
    document: Any = made.sample()
    document[emptied] = []
    (page,) = write_report(document, tmp_path, pdf=False)
    assert "There are no pictures of Spark&#x27;s UI: no event log was given." in page.read_text()


def test_a_comparison_in_which_nothing_could_be_measured(made: ModuleType, tmp_path: Path) -> None:
    document = made.sample()
    for platform in document["platforms"]:
        platform |= {"state": "unreachable", "why": "It does not answer.", "repetitions": [], "spreads": {}, "stages": [], "diagram": {"nodes": [], "edges": []}}  # fmt: skip
    document |= {"pairs": [], "scaling": [], "tables": [], "faults": [], "complete": False, "stopped_by": None}
    page, pdf = write_report(document, tmp_path)
    assert "has not ended yet" in page.read_text()
    assert pdf.stat().st_size > 1000


def test_a_platform_that_is_awaited_or_was_measured_elsewhere(made: ModuleType) -> None:
    document = made.sample()
    document["platforms"][1] |= {
        "state": "awaited",
        "why": AWAITS,
        "repetitions": [],
        "spreads": {},
        "stages": [],
        "diagram": {"nodes": [], "edges": []},
    }
    document["platforms"][2] |= {"machine": {"cores": "96"}}
    document["conclusions"] = draw_conclusions(document)
    english_text, spanish_text = (report_page(build_report(document, LANGUAGES[code])) for code in ("en", "es"))
    for part in ("local[2] is awaited", "Run colab.ipynb", "Machine of cluster:2", "cluster:2 was measured on another machine"):
        assert part in english_text
    for part in ("local[2] está pendiente", "Ejecute colab.ipynb", "Máquina de cluster:2", "cluster:2 se midió en otra máquina"):
        assert part in spanish_text


def test_a_language_that_there_is_not(made: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(DeclarationProblem, match="not written in 'fr'"):
        write_report(made.sample(), tmp_path, ("fr",))
