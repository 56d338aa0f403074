"""Who is measured: caudal on each engine, and the same product as a project of other tools, each with an environment of its own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.answer import ROOT
from benchmarks.environment import Environment, environment, installed

PROJECTS = Path(__file__).parent / "projects"
# HistGradientBoosting's threads would wait for one another at full speed on a machine with other work; caudal sets this by itself.
# Nobody tells its makers of its use.
QUIET = {
    "OMP_WAIT_POLICY": "passive",
    "DO_NOT_TRACK": "1",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "KEDRO_DISABLE_TELEMETRY": "1",
    "DAGSTER_DISABLE_TELEMETRY": "1",
    "METAFLOW_DEFAULT_METADATA": "local",
    "METAFLOW_DEFAULT_DATASTORE": "local",
    "METAFLOW_USER": "shop",
}
_FROM_DUCKDB = (
    "import duckdb; duckdb.connect('shop.duckdb', read_only=True).sql("
    "'select shop, window_start, visitors, celsius from visitors_hour').write_csv('hours.csv')"
)
_FROM_PARQUET = (
    "import pandas; pandas.read_parquet('data/visitors_hour.parquet')"
    "[['shop', 'window_start', 'visitors', 'celsius']].to_csv('hours.csv', index=False)"
)
_FROM_METAFLOW = (
    "from metaflow import Flow; Flow('ShopFlow').latest_run.data.visitors_hour"
    "[['shop', 'window_start', 'visitors', 'celsius']].to_csv('hours.csv', index=False)"
)


@dataclass(frozen=True)
class Contender:
    """One line of the table.

    Parameters
    ----------
    environment : name of its environment
    run : what a user types to bring the product up to date, its first word a program of the environment
    hours : what writes the hour table to ``hours.csv``, not measured
    new, preview : measured too, where there are such
    shared : files of ``projects`` that its project needs, by where they go
    settings : variables of its environment beside ``QUIET``; ``{folder}`` is the project's folder
    """

    name: str
    environment: str
    run: tuple[str, ...]
    hours: tuple[str, ...]
    new: tuple[str, ...] = ()
    preview: tuple[str, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)

    def command(self, words: tuple[str, ...], made: Environment) -> list[str | Path]:
        """Return a command with its program in the environment."""
        return [made.folder / "bin" / words[0], *words[1:]]

    def variables(self, folder: Path) -> dict[str, str]:
        """Return the variables that its commands are started with."""
        return QUIET | {name: value.format(folder=folder) for name, value in self.settings.items()}

    def lay(self, folder: Path, landing: Path) -> None:
        """Make its project ready in a folder, with the files that are to be landed; caudal's is made by ``new``."""
        if self.new:
            folder.mkdir(parents=True)
            return
        shutil.copytree(PROJECTS / self.environment, folder, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(landing, folder / "landing")
        for name, place in self.shared.items():
            shutil.copy(PROJECTS / name, folder / place / name)


def _caudal(engine: str) -> Contender:
    return Contender(
        name=f"caudal, {engine}",
        environment="caudal",
        new=("caudal", "new", "shop"),
        run=("caudal", "run", "shop", "--engine", engine),
        preview=("caudal", "preview", "shop", "visitors_hour", "--engine", engine),
        hours=("caudal", "export", "visitors_hour", "hours.csv"),
    )


CONTENDERS = (
    _caudal("sail"),
    _caudal("auto"),
    _caudal("spark"),
    Contender("dbt with DuckDB", "dbt", ("dbt", "build"), ("python", "-c", _FROM_DUCKDB), shared={"forecasting.py": "."}),
    Contender(
        "Kedro with pandas",
        "kedro",
        ("kedro", "run"),
        ("python", "-c", _FROM_PARQUET),
        shared={"forecasting.py": "src/shop", "tables.py": "src/shop"},
    ),
    Contender(
        "Dagster with DuckDB",
        "dagster",
        ("dagster", "asset", "materialize", "--select", "*", "--python-file", "definitions.py"),
        ("python", "-c", _FROM_DUCKDB),
        shared={"forecasting.py": "."},
        settings={"DAGSTER_HOME": "{folder}"},
    ),
    Contender(
        "Metaflow",
        "metaflow",
        ("python", "flow.py", "run"),
        ("python", "-c", _FROM_METAFLOW),
        shared={"forecasting.py": ".", "tables.py": "."},
        settings={"METAFLOW_HOME": "{folder}/.metaflow"},
    ),
)


def environment_of(contender: Contender) -> Environment:
    """Return a contender's environment, made where there is none yet.

    caudal's has this checkout with the extra of Sail, all else in the versions of ``requirements.lock``.
    """
    if contender.environment != "caudal":
        return environment(PROJECTS / f"{contender.environment}.txt")
    lock = (ROOT / "requirements.lock").read_text().splitlines()
    versions = "\n".join(line.removesuffix(" \\") for line in lock if line[:1].isalnum())
    wanted = f"{ROOT}\n{versions}".encode() + (ROOT / "pyproject.toml").read_bytes()
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as constraints:
        constraints.write(versions)
        constraints.flush()
        return installed("caudal", wanted, ["--constraint", constraints.name, "--editable", f"{ROOT}[sail]"])
