"""The ledger on SQLite and on PostgreSQL: the same tests; and its tables, brought up to date from anywhere, by many at once."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Column, Engine, Integer, MetaData, Table, create_engine, inspect, text
from tests import zygote

from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.ledger.ledger import Ledger, open_ledger
from caudal.ledger.migrations.upgrade import TABLE, exclusive_transaction, ledger_version, migrate, revisions
from caudal.ledger.records import decisions, landed, metadata, model_versions, runs, steps


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[Ledger]:
    opened = open_ledger(ledger_url)
    yield opened
    opened.close()


def step(run: str, state: str, **more: object) -> dict[str, object]:
    return {"run_id": run, "product": "p", "step": "read:s", "kind": "read", "name": "s", "state": state, **more}


def test_rows_come_back_as_they_were_given_in_order_of_entry(ledger: Ledger) -> None:
    ledger.add(steps, step("1", "succeeded", inputs={"a": 3}, partitions=["2024-01-01"]))
    ledger.add(steps, step("1", "failed", error={"what": "no"}))
    first, second = ledger.find(steps, product="p")
    assert (first["inputs"], first["partitions"], second["error"]) == ({"a": 3}, ["2024-01-01"], {"what": "no"})
    assert [row["id"] for row in ledger.find(steps, newest=True)] == [second["id"], first["id"]]
    assert ledger.find(steps, state=["failed", "waiting"]) == [second]
    assert ledger.find(steps, limit=1) == [first]


def test_the_newest_success_is_found_behind_failures(ledger: Ledger) -> None:
    assert ledger.last_success("p", "read:s") is None
    for number, state in ((1, "succeeded"), (2, "succeeded"), (None, "failed")):
        ledger.add(steps, step("1", state, output_version=number))
    found = ledger.last_success("p", "read:s")
    assert found is not None
    assert found["output_version"] == 2


def test_a_change_tells_how_many_rows_it_met(ledger: Ledger) -> None:
    ledger.add(
        runs, *({"run_id": str(n), "product": "p", "command": "run", "state": "running", "started_at": float(n)} for n in range(3))
    )
    assert ledger.change(runs, {"product": "p", "state": "running"}, state="abandoned") == 3
    assert ledger.change(runs, {"state": "running"}, state="abandoned") == 0
    newest = ledger.last_run("p")
    assert newest is not None
    assert newest["run_id"] == "2"


def test_numbers_have_room(ledger: Ledger) -> None:
    said = {"product": "p", "source": "s", "path": "a", "sha256": "0" * 64, "bytes": 2**40, "modified_ns": 1_700_000_000_123_456_789,
            "landed_at": 1_700_000_000.123456, "run_id": "1", "kind": "data"}  # fmt: skip
    ledger.add(landed, said)
    (row,) = ledger.find(landed)
    assert {name: row[name] for name in said} == said


def test_what_is_no_number_is_null_in_documents(ledger: Ledger) -> None:
    ledger.add(steps, step("1", "succeeded", detail={"folds": [1.5, math.nan, {"best": math.inf}]}))
    assert ledger.find(steps)[0]["detail"] == {"folds": [1.5, None, {"best": None}]}


def test_the_champion_is_the_version_decided_last(ledger: Ledger) -> None:
    about = {"product": "p", "model": "m"}
    version = {
        "candidate": "ridge", "created_at": 1.0, "run_id": "1", "fingerprint": "f", "code": "c", "training_table": "t", "training_version": 1,
        "training_rows": 9, "parameters": {}, "metrics": {}, "signature": {}, "environment": {}, "artifact": "a", "artifact_sha256": "0",
        "format": "skops",
    }  # fmt: skip
    ledger.add(model_versions, *({**about, **version, "version": n} for n in (1, 2)))
    assert ledger.champion("p", "m") is None
    for number, decision in ((1, "promoted"), (2, "promoted"), (1, "rolled back"), (2, "refused")):
        ledger.add(decisions, {**about, "version": number, "decision": decision, "gates": [], "who": "me", "at": 1.0})
    found = ledger.champion("p", "m")
    assert found is not None
    assert (found["version"], found["decision"]["decision"]) == (1, "rolled back")


def test_half_of_several_rows_is_never_there(ledger: Ledger) -> None:
    row = {"run_id": "1", "product": "p", "command": "run", "state": "running", "started_at": 1.0}
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.add(runs, row, row)
    assert ledger.find(runs) == []


def facts_of(engine: Engine) -> dict[str, object]:
    """Return all that a database tells of its tables, and their rows."""
    asked = inspect(engine)
    ways = ("get_pk_constraint", "get_unique_constraints", "get_foreign_keys", "get_check_constraints", "get_indexes")
    facts: dict[str, object] = {}
    for table in sorted(asked.get_table_names()):
        for column in asked.get_columns(table):
            facts[f"{table}.{column['name']}"] = repr(sorted(column.items()))
        for way in ways:
            facts[f"{table} {way}"] = sorted(map(repr, got)) if isinstance(got := getattr(asked, way)(table), list) else repr(got)
        with engine.connect() as connection:
            facts[f"{table} rows"] = sorted(map(repr, connection.execute(text(f"SELECT * FROM {table}"))))
    return facts


def test_changes_and_records_say_the_same(ledger_url: str) -> None:
    engine = create_engine(ledger_url)
    with exclusive_transaction(engine) as connection:
        migrate(connection)
    with engine.connect() as connection:
        settings = {"compare_type": True, "version_table": TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=settings), metadata) == []
    assert ledger_version(engine) == revisions()[-1]
    migrated = facts_of(engine)
    assert len(migrated) > 200
    with engine.begin() as connection:
        for name in inspect(engine).get_table_names():
            connection.execute(text(f"DROP TABLE {name}"))
    engine.dispose()
    ledger = open_ledger(ledger_url)
    made_at_once = facts_of(ledger.engine)
    ledger.close()
    assert made_at_once == migrated


def test_a_difference_would_be_found(ledger: Ledger) -> None:
    other = MetaData()
    for table in metadata.tables.values():
        table.to_metadata(other)
    Table("more", other, Column("id", Integer, primary_key=True))
    with ledger.engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"version_table": TABLE}), other)
    assert [one[0] for one in found] == ["add_table"]


def test_a_ledger_from_before_there_were_numbers_keeps_its_rows(ledger_url: str) -> None:
    engine = create_engine(ledger_url)
    metadata.create_all(engine, tables=[table for table in metadata.sorted_tables if table.name != "alerts"])
    with engine.begin() as connection:
        connection.execute(
            runs.insert(), {"run_id": "old", "product": "p", "command": "run", "state": "succeeded", "started_at": 1.0}
        )
    engine.dispose()
    ledger = open_ledger(ledger_url)
    assert [row["run_id"] for row in ledger.find(runs)] == ["old"]
    assert inspect(ledger.engine).has_table("alerts")
    assert ledger_version(ledger.engine) == revisions()[-1]
    ledger.close()


def test_a_ledger_of_a_newer_caudal_is_left_alone(ledger_url: str) -> None:
    ledger = open_ledger(ledger_url)
    with ledger.engine.begin() as connection:
        connection.execute(text(f"UPDATE {TABLE} SET version_num = '9999'"))
    ledger.close()
    with pytest.raises(EnvironmentProblem, match=r"of version 9999.*Use the newer caudal"):
        open_ledger(ledger_url)


@pytest.mark.slow
def test_many_processes_open_a_new_ledger_at_once(ledger_url: str, tmp_path: Path) -> None:
    code = (
        "import pathlib, sys, time; from caudal.ledger.ledger import open_ledger; from caudal.ledger.records import runs\n"
        "while not pathlib.Path(sys.argv[3]).exists(): time.sleep(0.01)\n"
        "ledger = open_ledger(sys.argv[1])\n"
        "ledger.add(runs, {'run_id': sys.argv[2], 'product': 'p', 'command': 'run', 'state': 'running', 'started_at': 1.0})"
    )
    go = tmp_path / "go"
    opening = [
        zygote.start([sys.executable, "-c", code, ledger_url, str(n), str(go)], stderr=subprocess.PIPE, text=True) for n in range(6)
    ]
    go.touch()
    ends = [(process.communicate(timeout=120)[1], process.returncode) for process in opening]
    assert [code for _, code in ends] == [0] * 6, ends
    ledger = open_ledger(ledger_url)
    assert sorted(row["run_id"] for row in ledger.find(runs)) == [str(n) for n in range(6)]
    ledger.close()


def test_opening_a_ledger_that_is_new_or_up_to_date_imports_no_alembic(ledger_url: str) -> None:
    code = "import sys; from caudal.ledger.ledger import open_ledger; [open_ledger(sys.argv[1]).close() for _ in 'ab']; print('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, ledger_url], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_a_server_that_is_away_is_told_without_its_password() -> None:
    with pytest.raises(EnvironmentProblem) as raised:
        open_ledger("postgresql://anna:hunter2@127.0.0.1:1/ledger")
    assert "postgresql://anna@127.0.0.1:1/ledger" in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_what_is_no_url_is_told() -> None:
    with pytest.raises(DeclarationProblem, match=r"The ledger's URL 'ledger.db' is not a database URL"):
        open_ledger("ledger.db")


def test_a_user_who_may_make_no_tables_is_told(postgres_url: str) -> None:
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE ROLE reader LOGIN"))
    try:
        with pytest.raises(EnvironmentProblem, match=r"cannot be opened: permission denied for schema public"):
            open_ledger(postgres_url.replace("postgres@", "reader@"))
    finally:
        with engine.begin() as connection:
            connection.execute(text("DROP ROLE reader"))
        engine.dispose()


def test_secrets_that_an_older_ledger_keeps_are_taken_out(ledger_url: str) -> None:
    from caudal.declarations.alert import webhook_digest
    from caudal.ledger.migrations.upgrade import config, exclusive_transaction
    from caudal.ledger.records import alerts, declarations, lineage_events

    engine = create_engine(ledger_url)
    from alembic import command

    with exclusive_transaction(engine) as connection:
        command.upgrade(config(connection), "0006")
    hook = "https://chat.example.org/services/T0/HUSHHUSH"
    row = {"product": "p", "source": "s", "bytes": 1, "modified_ns": 1, "landed_at": 1.0, "run_id": "1", "kind": "data"}
    said = {"what": "'http://anna:HU/SHHUSH@h:9/a.csv' cannot be asked.", "rows": 3, "urls": ["https://h/b?sig=HUSHHUSH&x=1"]}
    alert = {
        "product": "p", "happening": "failure", "subject": "run", "run_id": "1", "at": 1.0, "last_at": 1.0, "repeats": 0, "kind": "webhook",
        "target": hook, "place": {"url": hook, "secret": "KEY"}, "document": said, "state": "failed", "attempts": 1, "next_at": 1.0,
    }  # fmt: skip
    with engine.begin() as connection:
        paths = ["https://h/a.csv?token=HUSHHUSH1", "https://h/a.csv?token=HUSHHUSH2", "https://h/%40x/b.csv", "/data/a@b.csv"]
        connection.execute(landed.insert(), [{**row, "path": path, "sha256": "1", "seq": at} for at, path in enumerate(paths)])
        connection.execute(
            runs.insert(), {"run_id": "1", "product": "p", "command": "run", "state": "failed", "started_at": 1.0, "summary": said}
        )
        connection.execute(
            declarations.insert(), {"product": "p", "run_id": "1", "at": 1.0, "document": {"from": "files: sftp://a:HUSHHUSH@h/x"}}
        )
        connection.execute(
            lineage_events.insert(), {"product": "p", "run_id": "1", "at": 1.0, "state": "new", "event": {"name": "s3://b/x"}}
        )
        connection.execute(alerts.insert(), alert)
    engine.dispose()
    opened = open_ledger(ledger_url)
    tables = [opened.find(table) for table in (landed, runs, declarations, lineage_events, alerts)]
    assert "HUSH" not in str(tables)
    assert [(found["path"], found["seq"]) for found in tables[0]] == [
        ("https://h/a.csv", 1),
        ("https://h/@x/b.csv", 2),
        ("/data/a@b.csv", 3),
    ]
    assert tables[1][0]["summary"] == {"what": "'http://***@h:9/a.csv' cannot be asked.", "rows": 3, "urls": ["https://h/b?x=1"]}
    assert tables[2][0]["document"] == {"from": "files: sftp://a@h/x"}
    assert tables[3][0]["event"] == {"name": "s3://b/x"}
    (kept,) = tables[4]
    assert (kept["target"], kept["place"]) == ("https://chat.example.org", {"webhook": webhook_digest(hook), "secret": "KEY"})
    opened.close()
