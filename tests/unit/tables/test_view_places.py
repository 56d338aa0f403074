"""Online views answer the same wherever they lie, to the last bit; a new one takes the place of the old one in one step, and nothing is left of those before."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.redis_server import PASSWORD

from caudal.errors import DeclarationProblem
from caudal.tables import online, remote_views
from caudal.tables.home import Home
from caudal.tables.online import Described, OnlineView, ViewGroup, ViewName, ViewPlace, ViewsUnavailable
from caudal.tables.view_places import redis as in_redis
from caudal.tables.views import all_view_places, drafted_view, opened_view, view_place

NAME: ViewName = ("shop", "amount")
REMOTE = ["postgres_url", "redis_url"]
SERVERS = {"postgres_url": "postgres", "redis_url": "redis"}

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(
    ["\x00", '"', "\\", "[", "]", "\u2028", "\U0001f600", "a\tb\n", "e\u0301", "\u00e9", "k" * 3_000]
)
KEYS = st.one_of(TEXTS, st.integers(-(2**63), 2**63 - 1).map(str), st.sampled_from(["true", "false"]))
VALUES = st.one_of(
    st.none(), st.booleans(), st.floats(), st.sampled_from([-0.0, 5e-324, 0.1 + 0.2]), st.integers(-(2**63), 2**63 - 1), TEXTS
)
TIMES = st.integers(-(2**62), 2**62) | st.integers(0, 6)


@st.composite
def groups(draw: st.DrawFn) -> tuple[ViewGroup, list[Any]]:
    """Return a group and its rows."""
    keys, columns = draw(st.integers(0, 3)), draw(st.integers(1, 3))
    group: ViewGroup = {
        "keys": [f"key {place}" for place in range(keys)], "time": "at", "columns": [f"column {place}" for place in range(columns)],
        "valid_us": draw(st.sampled_from([None, 0, 3])), "exact": draw(st.booleans()),
    }  # fmt: skip
    some = draw(st.lists(st.tuples(*[KEYS] * keys), min_size=1, max_size=4))
    row = st.tuples(st.sampled_from(some), TIMES, st.tuples(*[VALUES] * columns))
    rows = draw(st.lists(row, max_size=12))
    return group, [(*key, at, *values) for key, at, values in rows]


def described(groups: list[ViewGroup], **other: Any) -> Described:
    return {
        "format": 1, "times": {"at": True}, "key_types": {}, "named": [], "fields": {}, "tz": "UTC", "groups": groups, "calendar": {},
        "since_us": 0, "until_us": 30, "built_at": 0.0, "versions": {}, "checked": 0, **other,
    }  # fmt: skip


def write(
    place: ViewPlace, written: list[tuple[ViewGroup, list[Any]]], names: Sequence[tuple[str, str]] = (), name: ViewName = NAME
) -> OnlineView:
    """Write and publish a view, and return it."""
    with drafted_view(place, name) as draft:
        for number, (group, rows) in enumerate(written):
            draft.add_group(number, group, rows)
        draft.add_names("input", names)
        draft.finish(described([group for group, _ in written]))
        draft.publish()
    return opened_view(place, name)


@contextmanager
def placed(folder: Path, url: str | None) -> Iterator[ViewPlace]:
    with closing(view_place(Home(folder, views_url=url))) as place:
        yield place


def bits(values: Any) -> Any:
    """Return what tells values apart that Python takes for equal: the bits of floats, and types."""
    if values is None:
        return None
    return [("float", struct.pack("<d", value)) if isinstance(value, float) else (type(value).__name__, value) for value in values]


@pytest.fixture(scope="module")
def urls(postgres: Any, redis: Any) -> Iterator[dict[str, str | None]]:
    """The address of each place; None for files of the home."""
    redis.client().flushall()
    with postgres.database() as url:
        yield {"sqlite": None, "postgresql": url, "redis": redis.url}


@pytest.mark.slow(minutes=2)
@pytest.mark.parametrize(("kept", "of_key", "chunk"), [(50_000, 1_000, 500), (50_000, 2, 3), (0, 0, 1)])
@given(
    written=st.lists(groups(), min_size=1, max_size=2),
    asked=st.lists(st.tuples(st.integers(0, 50), TIMES), min_size=1, max_size=12),
    names=st.lists(st.tuples(TEXTS, TEXTS), max_size=3, unique_by=lambda name: name[0]),
)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_each_place_answers_as_the_file(
    urls: dict[str, str | None], kept: int, of_key: int, chunk: int, written: list[Any], asked: list[Any], names: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(online, "KEPT_ROWS", kept)
        patch.setattr(online, "KEPT_ROWS_OF_KEY", of_key)
        patch.setattr(in_redis, "ROWS_OF_CHUNK", chunk)
        patch.setattr(in_redis, "KEYS_OF_BUCKET", 2)
        answers = {}
        for kind, url in urls.items():
            with placed(Path(folder) / kind, url) as place:
                view = write(place, written, names)
                found: list[Any] = [dict(view.names), [view.newest_key(number) for number in range(len(written))]]
                for number, (group, rows) in enumerate(written):
                    keys = [list(row[: len(group["keys"])]) for row in rows] + [["not there"] * len(group["keys"])]
                    for which, at in [*asked, *((place, row[len(group["keys"])]) for place, row in enumerate(rows))] * 2:
                        found.append(bits(view.values(number, keys[which % len(keys)], at)))
                found.append(sorted(
                    (text, view.rows_with(lambda _, other, text=text: other == text)) for text in {key for group, rows in written for row in rows for key in row[: len(group["keys"])]}
                ))  # fmt: skip
                answers[kind] = found
        assert answers["postgresql"] == answers["sqlite"]
        assert answers["redis"] == answers["sqlite"]


BY_ZONE: ViewGroup = {"keys": ["zone"], "time": "at", "columns": ["mean", "count"], "valid_us": None, "exact": True}


def rows_of(value: float, keys: int = 20) -> list[Any]:
    return [(f"zone {key}", at, value, key) for key in range(keys) for at in range(3)]


def left_in(place: Any, kind: str) -> set[str]:
    """Return what lies in a place: tables, or the names of keys."""
    if kind == "redis_url":
        return set(place._redis.keys("*"))
    rows = place.ask("SELECT relname FROM pg_class WHERE relnamespace = 'caudal_online'::regnamespace AND relkind = 'r'")
    return {str(name) for (name,) in rows}


@pytest.mark.parametrize("kind", REMOTE)
def test_a_view_takes_the_place_of_the_old_one_and_that_goes_after_a_while(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with placed(tmp_path, request.getfixturevalue(kind)) as place:
        assert place.states([NAME]) == {}
        assert place.models("shop") == []
        with pytest.raises(FileNotFoundError):
            place.open(NAME)
        first = write(place, [(BY_ZONE, rows_of(1.0))])
        write(place, [(BY_ZONE, rows_of(7.0))], name=("shop", "other"))
        state, one = place.states([NAME])[NAME], left_in(place, kind)
        second = write(place, [(BY_ZONE, rows_of(2.0))])
        assert place.states([NAME, ("shop", "none")]) == {NAME: second.state}
        assert first.state == state != second.state
        assert first.values(0, ["zone 3"], 9) == (1.0, 3), "who has begun with a view reads on in it"
        assert second.values(0, ["zone 3"], 9) == (2.0, 3)
        assert place.models("shop") == ["amount", "other"]
        monkeypatch.setattr(sys.modules[type(place).__module__], "GRACE_S", -1)
        place.sweep("shop", "amount")
        assert len(left_in(place, kind)) == len(one)
        with pytest.raises(ViewsUnavailable, match=r"'shop/amount' .* no longer there"):
            first.values(0, ["zone 4"], 9)
        assert second.values(0, ["zone 4"], 9) == (2.0, 4), "that a view is gone is no outage"
        place.remove(NAME)
        assert place.models("shop") == ["other"]
        place.remove(("shop", "other"))
        assert len(left_in(place, kind)) == {"postgres_url": 2, "redis_url": 0}[kind]
        assert not list((tmp_path / "online" / "shop").iterdir())


KILLED = """
    import os, signal, sys
    from pathlib import Path
    from caudal.tables.home import Home
    from caudal.tables.views import view_place
    from caudal.tables.view_places import redis, sqlite
    from tests.unit.tables.test_view_places import BY_ZONE, rows_of, write

    redis.BATCH, place = 5, view_place(Home(Path(sys.argv[1]), views_url=sys.argv[2]))
    when, all_rows = sys.argv[3], sqlite.FileRows.all_rows

    def die_in_the_middle(self, number):
        for count, row in enumerate(all_rows(self, number)):
            if count == 40:
                os.kill(os.getpid(), signal.SIGKILL)
            yield row

    if when == "writing":
        sqlite.FileRows.all_rows = die_in_the_middle
    else:
        type(place).point = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
    write(place, [(BY_ZONE, rows_of(2.0))])
"""


@pytest.mark.parametrize("when", ["writing", "before it is published"])
@pytest.mark.parametrize("kind", REMOTE)
def test_a_run_that_is_killed_leaves_the_old_view_and_its_remains_go_with_the_next(
    kind: str, when: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = request.getfixturevalue(kind)
    with placed(tmp_path, url) as place:
        view = write(place, [(BY_ZONE, rows_of(1.0))])
        before = left_in(place, kind)
        command = [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path), url, when]
        killed = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        if (kind, when) != ("postgres_url", "writing"):  # there it was one transaction
            assert left_in(place, kind) > before
        assert list((tmp_path / "online" / "shop").iterdir())
        assert place.states([NAME])[NAME] == view.state
        assert opened_view(place, NAME).values(0, ["zone 3"], 9) == (1.0, 3)
        with drafted_view(place, NAME):
            assert left_in(place, kind) == before
        assert not list((tmp_path / "online" / "shop").iterdir())


@pytest.mark.parametrize("kind", REMOTE)
def test_each_answer_under_swaps_is_from_one_view(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Four threads read while twenty views take one another's place: all values of a view are those of its generation."""
    with placed(tmp_path, request.getfixturevalue(kind)) as place:
        write(place, [(BY_ZONE, rows_of(0.0))])
        ended, faults, seen = threading.Event(), [], set()

        def read() -> None:
            try:
                while not ended.is_set():
                    view = opened_view(place, NAME)
                    found = {(view.values(0, [f"zone {key}"], 9) or (None,))[0] for key in range(20)}
                    seen.update(found)
                    if len(found) != 1:
                        faults.append(found)
            except Exception as error:  # noqa: BLE001  it is told below
                faults.append(error)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for value in range(1, 21):
            write(place, [(BY_ZONE, rows_of(float(value)))])
        ended.set()
        for thread in threads:
            thread.join(60)
        assert faults == []
        assert len(seen) > 1


@contextmanager
def own_server(kind: str) -> Iterator[tuple[Any, str]]:
    """Yield a server that may be stopped, and an address of it."""
    if kind == "redis_url":
        from tests.redis_server import redis_server

        with redis_server() as server:
            yield server, server.url
    else:
        from tests.postgres import server as postgres_server

        with postgres_server() as running, running.database() as url:
            yield running, url


@pytest.mark.slow
@pytest.mark.parametrize("kind", REMOTE)
def test_a_place_that_goes_away_is_told_of_at_once_and_asked_again_by_itself(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_views, "RETRY_S", 0.2)
    with own_server(kind) as (server, url), placed(tmp_path, url) as place:
        view = write(place, [(BY_ZONE, rows_of(1.0))])
        assert view.values(0, ["zone 3"], 9) == (1.0, 3)
        server.stop()
        for _ in range(3):
            with pytest.raises(
                ViewsUnavailable, match=r"The online views at \S+ do not answer: .*it is asked again by itself"
            ) as told:
                view.values(0, ["zone 4"], 9)
            assert PASSWORD not in str(told.value)
            assert len(str(told.value).splitlines()) == 1
        assert view.values(0, ["zone 3"], 9) == (1.0, 3), "what is in memory is found"
        server.start()
        time.sleep(0.3)
        if kind == "redis_url":  # it has lost all, as it keeps nothing on the disk
            with pytest.raises(ViewsUnavailable, match="no longer there"):
                view.values(0, ["zone 4"], 9)
            view = write(place, [(BY_ZONE, rows_of(1.0))])
        assert view.values(0, ["zone 4"], 9) == (1.0, 4)


@pytest.mark.parametrize("kind", REMOTE)
def test_a_server_that_hangs_is_not_waited_for(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is stopped in the middle of its work, so connections stay and nothing answers."""
    for module in ("caudal.tables.view_places.postgresql", "caudal.tables.view_places.redis"):
        monkeypatch.setattr(sys.modules[module] if module in sys.modules else __import__(module, fromlist=["ASK_S"]), "ASK_S", 0.5)
    with own_server(kind) as (server, url), placed(tmp_path, url) as place:
        view = write(place, [(BY_ZONE, rows_of(1.0))])
        pids = hanging_pids(server, place, kind)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(ViewsUnavailable, match="do not answer"):
                view.values(0, ["zone 4"], 9)
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)


def hanging_pids(server: Any, place: Any, kind: str) -> list[int]:
    if kind == "redis_url":
        return [server.process.pid]
    return [int(str(place.ask("SELECT pg_backend_pid()")[0][0]))]


def test_a_redis_that_is_short_of_memory_and_has_given_up_rows_does_not_pass_them_for_unknown(
    redis_url: str, tmp_path: Path
) -> None:
    with placed(tmp_path, redis_url) as place:
        view = write(place, [(BY_ZONE, rows_of(1.0))])
        client: Any = place._redis  # type: ignore[attr-defined]
        client.delete(*client.keys("caudal:online:*:0:0"))
        with pytest.raises(ViewsUnavailable, match="no longer there"):
            view.values(0, ["zone 4"], 9)


def test_files_of_before_are_places_too(redis_url: str, tmp_path: Path) -> None:
    with placed(tmp_path, None) as place:
        write(place, [(BY_ZONE, rows_of(1.0))])
    with all_view_places(Home(tmp_path, views_url=redis_url)) as places:
        assert [place.models("shop") for place in places] == [[], ["amount"]]


def test_a_place_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DeclarationProblem, match=r"'mysql://anna@db/x', which is no place .* postgresql://user@host/database or redis://"
    ) as told:
        view_place(Home(tmp_path, views_url=f"mysql://anna:{PASSWORD}@db/x"))
    assert PASSWORD not in str(told.value)
    shutil.rmtree(tmp_path)
