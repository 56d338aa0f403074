"""Texts of any encoding that Python has are read, whichever Java runs Spark."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from caudal.declarations.connection import Files
from caudal.declarations.format import fixed_width
from caudal.declarations.node import Source
from caudal.declarations.schema import schema
from caudal.stages.ingest import RawFile
from caudal.stages.ingest.formats.java_encodings import ALSO_KNOWN, java_encoding
from caudal.stages.ingest.read import read_files

WORDS = {
    "cp1250": "žluťoučký", "koi8-r": "чай", "gbk": "茶", "shift_jis": "お茶",
    "cp1255": "תה", "cp1256": "شاي", "cp932": "お茶①", "cp949": "녹차", "hz": "茶", "mac-roman": "thé", "cp037": "thé",
}  # fmt: skip
"""A word in each encoding; of the last seven not every Java has the encoding."""


def test_every_java_knows_what_spark_is_asked_to_read(spark: Any) -> None:
    names = [java_encoding(name) for name in ("utf-8", "latin1", "ascii", "windows-1252", *ALSO_KNOWN)]
    assert [name for name in names if not spark._jvm.java.nio.charset.Charset.isSupported(name)] == []


@pytest.mark.parametrize("encoding", WORDS)
def test_texts_are_read(spark: Any, tmp_path: Path, encoding: str) -> None:
    word = WORDS[encoding]
    layouts = {"x.csv": (f"n,word\n1,{word}\n", {}), "x.fwf": (f"1{word.ljust(9)}\n", fixed_width({"n": 1, "word": 9}).options)}
    for name, (text, options) in layouts.items():
        content = text.encode(encoding)
        sha256 = hashlib.sha256(content).hexdigest()
        path = tmp_path / f"{sha256}{Path(name).suffix}"
        path.write_bytes(content)
        connection = Files("*", "fixed_width" if name == "x.fwf" else None, {**options, "encoding": encoding})
        result = read_files(
            spark, [RawFile(path, sha256, name)], Source("texts", connection, schema(n="long", word="string")), scratch=tmp_path
        )
        assert [(row["n"], row["word"], row["_format_errors"]) for row in result.frame.collect()] == [(1, word, None)], name
