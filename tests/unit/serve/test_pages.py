"""The pages, as a browser without JavaScript meets them."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest

from caudal.serve.signature import shown_number

PAGE = "/taxi/duration/"


class Form(HTMLParser):
    """The fields of a page with the values that a browser would send, and what stands beside each."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.invalid: set[str] = set()
        self.options: dict[str, list[str]] = {}
        self.lists: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self._select: str | None = None
        self._list: str | None = None
        self._inside: list[str] = []
        self.told: dict[str, list[str]] = {}
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag not in ("input", "link", "meta", "img", "br"):
            self._inside.append(given.get("id", ""))
        if tag in ("input", "select") and "name" in given:
            name = given["name"]
            self.values[name] = given.get("value", "")
            self.told[name] = given.get("aria-describedby", "").split()
            self._select = name if tag == "select" else None
            if given.get("aria-invalid") == "true":
                self.invalid.add(name)
            if "list" in given:
                self.lists[name] = given["list"]
        if tag == "datalist":
            self._list = given["id"]
        if tag == "option":
            self.options.setdefault(self._list or self._select or "", []).append(given["value"])
            if self._select and "selected" in given:
                self.values[self._select] = given["value"]

    def handle_endtag(self, tag: str) -> None:
        if self._inside:
            self._inside.pop()
        if tag == "datalist":
            self._list = None

    def handle_data(self, data: str) -> None:
        for name in filter(None, self._inside):
            self.texts[name] = self.texts.get(name, "") + data

    def beside(self, name: str) -> str:
        return " ".join(self.texts.get(one, "") for one in self.told[name])


def test_the_form_is_made_from_the_signature(served: Any, example: dict[str, Any]) -> None:
    html = served.app().test_client().get(PAGE).text
    form = Form(html)
    assert list(form.values) == list(example)
    assert form.values["trip_distance_mi"] == "2.5"
    assert form.options["borough"] == ["Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island"]
    assert len(form.options[form.lists["zone"]]) == 60
    assert "From 0 to 100" in form.beside("trip_distance_mi")
    assert "Recent mean speed" in html
    assert "mi/h" in html


def test_what_the_form_shows_can_be_sent_as_it_is(served: Any, example: dict[str, Any], fitted: Any) -> None:
    client = served.app().test_client()
    values = Form(client.get(PAGE).text).values
    page = client.post(PAGE, data=values)
    expected = fitted["taxi", "duration", 2].pipeline.predict(pd.DataFrame([example]))[0]
    assert page.status_code == 200
    assert f'<p class="figure">{shown_number(float(expected))} <span>min</span>' in page.text
    assert "3.21 ± 0.14 min" in page.text
    assert Form(page.text).values == values


def test_errors_stand_beside_their_fields_and_values_are_kept(served: Any) -> None:
    client = served.app().test_client()
    sent = {**Form(client.get(PAGE).text).values, "trip_distance_mi": "two", "borough": "Quens", "zone": "", "hour": "25"}
    page = client.post(PAGE, data=sent)
    form = Form(page.text)
    assert page.status_code == 422
    assert form.values == sent
    assert form.invalid == {"trip_distance_mi", "borough", "zone", "hour"}
    assert "a number from 0 to 100" in form.beside("trip_distance_mi")
    assert "Did you mean Queens" in form.beside("borough")
    assert "missing" in form.beside("zone")
    assert "Nothing was predicted" in page.text


def test_what_is_typed_cannot_become_markup(served: Any) -> None:
    client = served.app().test_client()
    evil = '"><script>alert(1)</script>'
    page = client.post(PAGE, data={**Form(client.get(PAGE).text).values, "zone": evil, evil: evil})
    assert page.status_code == 422
    assert "<script" not in page.text
    assert Form(page.text).values["zone"] == evil
    assert "<script" not in client.get("/<script>alert(1)</script>").text


def test_an_optional_field_may_stay_empty(served: Any) -> None:
    client = served.app().test_client()
    page = client.post(PAGE, data={**Form(client.get(PAGE).text).values, "passengers": "", "mean_speed_past": ""})
    assert page.status_code == 200


def test_a_class_is_shown_with_probabilities(served: Any) -> None:
    client = served.app().test_client()
    page = client.post("/taxi/payment/", data=Form(client.get("/taxi/payment/").text).values)
    assert page.status_code == 200
    assert page.text.count("<meter") == 2


@pytest.mark.parametrize("path", ["/", PAGE, "/taxi/duration/card", "/docs", "/taxi/nothing/"])
def test_no_page_needs_anything_from_elsewhere(served: Any, path: str) -> None:
    page = served.app().test_client().get(path)
    assert "http://" not in page.text.replace("http://localhost/", "")
    assert "https://" not in page.text
    assert "style=" not in page.text  # the policy forbids it, so it would be lost
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_the_card_shows_gates_candidates_and_history(served: Any) -> None:
    page = served.app().test_client().get("/taxi/duration/card").text
    for shown in (
        "beats_baseline",
        "worst group 1.12 times the best",
        "3.21 ± 0.14",
        "−53.5 %",
        "54,321",
        "all gates passed",
        "ada",
    ):
        assert shown in page


def test_the_page_to_try_lists_every_operation(served: Any) -> None:
    client = served.app().test_client()
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json["paths"]:
        assert f'data-path="{path}"' in page


def test_pages_that_are_not_there_are_told_as_pages(served: Any) -> None:
    page = served.app().test_client().get("/taxi/duratoin/")
    assert page.status_code == 404
    assert '<a href="/taxi/duration/">' in page.text


def test_a_form_from_another_site_is_refused(served: Any) -> None:
    client = served.app().test_client()
    values = Form(client.get(PAGE).text).values
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        assert client.post(PAGE, data=values, headers=headers).status_code == 403
    assert (
        client.post(PAGE, data=values, headers={"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}).status_code == 200
    )
