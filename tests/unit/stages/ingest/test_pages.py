"""Answers in pages, from a real service on loopback that fails on purpose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.servers.api import Api, running

import caudal as cd
import caudal.stages.ingest.web as web
from caudal.declarations.connection import Http
from caudal.errors import DeclarationProblem, EnvironmentProblem, SourceProblem
from caudal.stages.ingest import Arrival, KnownFile, arrivals

NOW = 1_700_000_000.0


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(web, "BACKOFF_S", 0.01)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with running() as server:
        yield server


WAYS: dict[str, dict[str, Any]] = {
    "link": {"pages": cd.pages(next="link")},
    "next": {"pages": cd.pages(next="paging.next"), "records": "items"},
    "page": {"pages": cd.pages(page="page"), "records": "data.items"},
    "offset": {"pages": cd.pages(offset="offset")},
    "cursor": {"pages": cd.pages(cursor=("after", "meta.cursor")), "records": "items"},
}


def source(api: Api, way: str, **more: Any) -> Http:
    return cd.http(api.url(way), timeout_s=2, **{**WAYS[way], **more})


def fetched(connection: Http, scratch: Path, seen: dict[str, KnownFile] | None = None, at: float = NOW) -> list[Arrival]:
    return arrivals(connection, data=None, scratch=scratch, landed=seen or {}, clock=lambda: at)


def ids(arrived: list[Arrival], path: str = "") -> list[int]:
    found = []
    for one in arrived:
        document = json.loads(one.local.read_bytes())
        for key in filter(None, path.split(".")):
            document = document[key]
        found += [record["id"] for record in document]
    return sorted(found)


def remembered(arrived: list[Arrival]) -> dict[str, KnownFile]:
    return {
        one.path: KnownFile(one.etag, one.modified_ns, one.bytes, hashlib.sha256(one.local.read_bytes()).hexdigest())
        for one in arrived
    }


@pytest.mark.parametrize("way", WAYS)
def test_every_record_comes_once_whichever_way_pages_are_told(api: Api, tmp_path: Path, way: str) -> None:
    arrived = fetched(source(api, way), tmp_path)
    assert ids(arrived, WAYS[way].get("records", "")) == list(range(35))
    assert len(arrived) == 4
    assert len(set(api.asked)) == len(api.asked)
    assert len({one.path.rpartition("/")[0] for one in arrived}) == 1


@pytest.mark.parametrize("plan", [["", "503", "500", ""], ["cut", "", "cut"], ["", "half", "half"], ["429 date"], ["", "slow"]])
def test_what_goes_wrong_for_a_while_is_tried_again(api: Api, tmp_path: Path, plan: list[str]) -> None:
    api.plan = list(plan)
    assert ids(fetched(source(api, "link"), tmp_path)) == list(range(35))


def test_a_fetch_that_died_goes_on_at_the_page_it_had_reached(api: Api, tmp_path: Path) -> None:
    api.plan = ["", "", *["503"] * 5]
    with pytest.raises(SourceProblem, match="could not be fetched in 5 attempts; the last one ended with: 503"):
        fetched(source(api, "cursor"), tmp_path)
    api.asked.clear()
    assert ids(fetched(source(api, "cursor"), tmp_path, at=NOW + 60), "items") == list(range(35))
    assert api.asked == ["/cursor?after=c20", "/cursor?after=c30"]
    assert ids(fetched(source(api, "cursor"), tmp_path, at=NOW + 61), "items") == list(
        range(35)
    )  # not landed: nothing is asked again
    assert len(api.asked) == 2


def test_a_cursor_that_has_expired_and_a_journal_that_is_old_begin_anew(api: Api, tmp_path: Path) -> None:
    for later, plan in ((60, ["410"]), (7200, [])):
        api.plan = ["", "", *["503"] * 5]
        with pytest.raises(SourceProblem):
            fetched(source(api, "cursor"), tmp_path / str(later))
        api.plan = list(plan)
        api.records[0]["amount"] = f"changed {later}"
        arrived = fetched(source(api, "cursor"), tmp_path / str(later), at=NOW + later)
        assert f"changed {later}" in arrived[0].local.read_text()
        assert ids(arrived, "items") == list(range(35))


def test_pages_that_have_not_changed_are_not_landed_again_and_fewer_take_the_place_of_more(api: Api, tmp_path: Path) -> None:
    first = fetched(source(api, "link"), tmp_path / "1")
    seen = remembered(first)
    assert fetched(source(api, "link"), tmp_path / "2", seen, NOW + 10) == []
    del api.records[20:]
    later = fetched(source(api, "link"), tmp_path / "3", seen, NOW + 20)
    assert ids(later) == list(range(20))
    assert {one.path.rpartition("/")[0] for one in later} != {one.path.rpartition("/")[0] for one in first}


def test_only_what_is_new_is_asked_for(api: Api, tmp_path: Path) -> None:
    connection = source(api, "cursor", since=cd.since("since", "updated_at"))
    first = fetched(connection, tmp_path / "1")
    assert ids(first, "items") == list(range(35))
    seen = remembered(first)
    assert fetched(connection, tmp_path / "2", seen, NOW + 10) == []
    assert api.asked[-1] == "/cursor?since=2024-03-04T00%3A00%3A00"
    api.records.append({"id": 99, "amount": "1", "updated_at": "2024-03-09T00:00:00"})
    more = fetched(connection, tmp_path / "3", seen, NOW + 20)
    assert ids(more, "items") == [99]
    assert {one.path.rpartition("/")[0] for one in more} == {one.path.rpartition("/")[0] for one in first}
    seen |= remembered(more)
    assert fetched(connection, tmp_path / "4", seen, NOW + 30) == []
    assert api.asked[-1].endswith("since=2024-03-09T00%3A00%3A00")


def test_secrets_come_from_the_environment_and_are_written_nowhere(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.token = "swordfish"
    connection = source(
        api, "next", auth=cd.env("API_TOKEN"), params={"key": cd.env("API_KEY"), "kind": "a"}, headers={"X-Team": "data"}
    )
    with pytest.raises(EnvironmentProblem, match=r"'API_(TOKEN|KEY)' is not set"):
        fetched(connection, tmp_path)
    monkeypatch.setenv("API_TOKEN", "swordfish")
    monkeypatch.setenv("API_KEY", "hush-hush")
    api.plan = ["", "", *["503"] * 5]
    with pytest.raises(SourceProblem) as raised:
        fetched(connection, tmp_path)
    kept = "".join(path.read_text() for path in tmp_path.rglob("journal.json"))
    arrived = fetched(connection, tmp_path)
    assert ids(arrived, "items") == list(range(35))
    assert all("key=hush-hush" in asked and asked.count("key=") == 1 and asked.count("kind=a") == 1 for asked in api.asked)
    assert all(headers["X-Team"] == "data" for headers in api.headers)
    told = kept + str(raised.value) + repr(connection) + "".join(one.path + str(one.etag) for one in arrived)
    assert "journal" not in told
    assert "hush-hush" not in told
    assert "swordfish" not in told


def test_requests_keep_their_distance(api: Api, tmp_path: Path) -> None:
    fetched(source(api, "link", rate="20/s"), tmp_path)
    assert api.times[-1] - api.times[0] > 3 * 0.05 - 0.02  # four requests have three gaps; the last may arrive a little early


def test_a_server_that_asks_for_a_long_rest_gets_it(api: Api, tmp_path: Path) -> None:
    api.plan, api.retry_after = ["", "429"], "3600"
    with pytest.raises(SourceProblem, match="asks for a pause of 3600 s") as raised:
        fetched(source(api, "link"), tmp_path)
    assert raised.value.facts["transient"]
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    ("way", "more", "said"),
    [
        ("next", {"records": ""}, r"has no list of records at 'its top'; it has 'items', 'paging'. Did you mean 'items'\?"),
        ("next", {"pages": cd.pages(next="pagin.next")}, "has nothing at 'pagin.next', which should give the next page"),
        ("page", {"pages": cd.pages(page="nr")}, "returns the same content for page 2 as for the page before. Check that 'nr'"),
        ("link", {"pages": cd.pages(next="link", most=2)}, "has more than 2 pages"),
    ],
)
def test_a_wrong_declaration_is_told(api: Api, tmp_path: Path, way: str, more: dict[str, Any], said: str) -> None:
    with pytest.raises(SourceProblem, match=said):
        fetched(source(api, way, **more), tmp_path)


def test_a_page_that_is_none_and_one_elsewhere_are_refused(api: Api, tmp_path: Path) -> None:
    api.plan = ["html"]
    with pytest.raises(SourceProblem, match="did not answer with JSON; the answer begins with b'<html>"):
        fetched(source(api, "next"), tmp_path)
    api.next_host = "http://elsewhere.example"
    with pytest.raises(SourceProblem, match=r"is at another host, 'elsewhere.example'"):
        fetched(source(api, "next"), tmp_path)


def test_another_host_that_is_redirected_to_gets_no_secret(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", "swordfish")
    fetched(cd.http(api.url("away"), auth=cd.env("API_TOKEN"), headers={"X-Key": cd.env("API_TOKEN")}), tmp_path)
    there, away = api.headers
    assert (there["Authorization"], there["X-Key"]) == ("Bearer swordfish", "swordfish")
    assert not {"Authorization", "X-Key"} & set(away)


def test_a_user_in_an_address_is_told_to_the_server_and_to_nobody_else(api: Api, tmp_path: Path) -> None:
    url = api.url("link").replace("://", "://ann:swordfish@")
    (one,) = fetched(cd.http(url, format="json"), tmp_path)
    assert one.path == api.url("link")
    assert api.headers[0]["Authorization"] == "Basic YW5uOnN3b3JkZmlzaA=="
    api.plan = ["404"]
    with pytest.raises(SourceProblem, match="answered 404") as raised:
        fetched(cd.http(url, pages=cd.pages(next="link")), tmp_path)
    assert "swordfish" not in str(raised.value) + str(raised.value.as_dict())


def test_one_way_to_the_next_page_is_declared() -> None:
    with pytest.raises(DeclarationProblem, match="page and cursor"):
        cd.pages(page="p", cursor=("a", "b"))
    with pytest.raises(DeclarationProblem, match="is no rate of requests"):
        cd.http("http://x", rate="fast")
