"""Triggers: what can be said of the clock, and what is refused at once."""

from __future__ import annotations

import pytest

import caudal as cd
from caudal.declarations.crontab import parse_crontab
from caudal.declarations.trigger import Cron, Every
from caudal.errors import DeclarationProblem
from caudal.graph.check import check


@pytest.mark.parametrize(
    ("expression", "field", "values"),
    [
        ("*/20 * * * *", "minutes", (0, 20, 40)),
        ("5/20 * * * *", "minutes", (5, 25, 45)),
        ("0 22-23,1 * * *", "hours", (1, 22, 23)),
        ("0 0 1-31/10 * *", "days", (1, 11, 21, 31)),
        ("0 0 * jan,MAR *", "months", (1, 3)),
        ("0 0 * * 0", "weekdays", (0,)),
        ("0 0 * * 7", "weekdays", (0,)),
        ("0 0 * * 5-7", "weekdays", (0, 5, 6)),
        ("0 0 * * */2", "weekdays", (0, 2, 4, 6)),
        ("0 0 * * mon-fri", "weekdays", (1, 2, 3, 4, 5)),
        ("0 0 * * *", "weekdays", None),
        ("0 0 29 2 *", "days", (29,)),
        ("0 0 31 2 mon", "days", (31,)),  # or on Mondays
    ],
)
def test_fields_are_read_as_cron_reads_them(expression, field, values):
    assert getattr(parse_crontab(expression), field) == values


@pytest.mark.parametrize("wrong", ["* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-3 * * * *", "*/0 * * * *", "x * * * *", "1,,2 * * * *", "", "0 0 31 2 *", "0 0 31 apr,jun *"])  # fmt: skip
def test_what_is_no_expression_is_told_where_it_was_written(wrong):
    with pytest.raises(DeclarationProblem, match=r"not a cron expression.*test_trigger\.py"):
        cd.cron(wrong)


def test_every_is_a_word_or_a_duration():
    assert cd.every("midnight", tz="Europe/Berlin", missed="all") == Cron("0 0 * * *", "Europe/Berlin", "all")
    assert cd.every("15 minutes") == Every(900.0)
    for wrong, said in (("midnite", "Did you mean 'midnight'"), ("0.2 seconds", "too frequent"), ("3 moons", "not a duration")):
        with pytest.raises(DeclarationProblem, match=said):
            cd.every(wrong)
    with pytest.raises(DeclarationProblem, match="unknown time zone"):
        cd.every("noon", tz="Europe/Berlim")
    with pytest.raises(DeclarationProblem, match="counted from 1970"):
        cd.every("2 hours", tz="Europe/Berlin")
    with pytest.raises(DeclarationProblem, match="Did you mean 'skip'"):
        cd.cron("* * * * *", missed="skipp")


def test_triggers_that_bind_to_nothing_are_found_by_check():
    product = cd.Product("p")
    product.source("s", cd.http("http://127.0.0.1/x.csv"), trigger=cd.on_arrival())
    product.schedule(cd.on_publish("p", "s"))
    said = [one.what for one in check(product)]
    assert any("http sources are not watched" in one for one in said)
    assert any("waits for its own table" in one for one in said)
    with pytest.raises(DeclarationProblem, match="on arrival, but no source"):
        product.schedule(cd.on_arrival())


def test_retry_and_time_limit_are_no_part_of_what_a_table_is_made_of():
    from caudal.graph.fingerprint import code_of

    def product(**options):
        made = cd.Product("p")
        made.source("s", cd.files("*.csv"), **options)
        made.sql("t", "SELECT * FROM s", **options)
        return [code_of(node) for node in made.nodes.values()]

    assert product() == product(retry=3, time_limit="10 minutes")
    with pytest.raises(DeclarationProblem, match="tried again -1 times"):
        product(retry=-1)
