"""``caudal check`` says of a stream what its executor on Spark says at its start."""

from __future__ import annotations

from pathlib import Path

import pytest

import caudal as cd
from caudal.commands.check.stream_executors import refusals_on_spark
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.registered import declarations_of_kind
from caudal.stages.ingest.streams.tap import LogTap
from caudal.streaming.structured.engine import StructuredEngine
from caudal.tables.home import Home


def product_of(late: str, every: str) -> Product:
    product = cd.Product("headset")
    samples = product.source("samples", cd.stream(channels=("a",)), late=late)
    product.statistics("windows", of=samples, window=every)
    return product


@pytest.mark.parametrize(
    ("late", "every", "what"),
    [
        ("2 seconds", "1 second", None),
        ("250 ms", "20 ms", None),
        ("0.0015 seconds", "1 second", "Source 'samples' waits 0.0015 seconds"),
        ("2 seconds", "0.0125 seconds", "windows of 'windows' end every 0.0125 seconds"),
    ],
)
def test_what_is_finer_than_a_millisecond_is_told_before_the_stream_refuses_it(
    tmp_path: Path, late: str, every: str, what: str | None
) -> None:
    product = product_of(late, every)
    told = [*refusals_on_spark(product)]
    (source,) = declarations_of_kind(product, "stream source")
    place = tmp_path / "streams"

    def start() -> None:
        StructuredEngine(product=product, source=source, home=Home(tmp_path), tap=LogTap(place), run_id="r", publish_s=1.0)

    if what is None:
        assert told == []
        start()
    else:
        assert len(told) == 1
        assert what in told[0]
        with pytest.raises(DeclarationProblem, match="whole milliseconds"):
            start()
