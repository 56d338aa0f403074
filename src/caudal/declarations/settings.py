"""Settings of caudal: flags override ``CAUDAL_*`` variables, these override ``caudal.toml``, and that overrides defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from caudal.declarations.address import address
from caudal.errors import DeclarationProblem, nearest
from caudal.secret import Address, Secret, is_secret_name, secrets_hidden

FILE = "caudal.toml"
ENGINES = ("auto", "spark", "sail")


@dataclass(frozen=True)
class Settings:
    """The settings. Neither their text nor any message shows secrets: passwords in addresses, the key, Spark settings with such names.

    Parameters
    ----------
    home : folder of lake, ledger, models and run pages
    data : folder that relative file patterns of sources are looked up in
    ledger : database URL of the ledger; SQLite in the home unless given
    lake : where raw files and tables lie, ``s3://bucket/…``, ``hdfs://host:port/…`` or a folder; in the home unless given
    online : where online views lie, ``postgresql://…`` or ``redis://…``; in the home unless given
    engine : what computes the tables: ``auto``, Sail where it is installed and can, else Spark; ``spark``; ``sail``; or ``sc://host:port``, a
        Spark Connect server
    master : Spark master; ``local[*]`` unless given
    memory : memory of the Spark driver, e.g. ``4g``
    cores : cores that local Spark uses
    jobs : processes that fit candidates of a model at the same time; candidates are fitted in the run's own process unless given
    spark : further Spark settings (table ``[spark]`` in the file)
    openlineage : the target of OpenLineage events (table ``[openlineage]``): ``url`` or ``file``, and ``endpoint``, ``key``, ``namespace``,
        ``timeout_s``; ``CAUDAL_OPENLINEAGE`` is the url or the file
    platforms : services that `caudal compare` works on (tables ``[platforms.NAME]`` in the file): docs/compare.md
    workers : processes that compute large micro-batches of ``caudal stream``; one for each core, four at most, unless given
    kafka : ``host:port`` of Kafka's brokers
    metastore : ``thrift://host:port`` of the Hive metastore in which tables are registered
    warehouse : database URL of the warehouse for publications that name no warehouse
    settle : seconds for which a file must not have changed before it is landed; none, but 2 in ``caudal up``, unless given
    smtp : mail server, ``smtp://``, ``smtp+starttls://`` or ``smtps://[user:password@]host:port``
    luigi : address of Luigi's central scheduler, if that schedules the steps
    key : key that the web app requires
    trust : types that stored models may hold beyond those known to be safe (``shop.model.Cut``, ``shop.*``); ``pickle`` allows pickle
    """

    home: Path = Path(".caudal")
    data: Path | None = None
    ledger: str | None = None
    lake: str | None = None
    online: str | None = None
    engine: str = "auto"
    master: str | None = None
    memory: str | None = None
    cores: int | None = None
    jobs: int | None = None
    workers: int | None = None
    kafka: str = "127.0.0.1:9092"
    warehouse: str | None = None
    metastore: str | None = None
    settle: float | None = None
    smtp: str = "smtp://127.0.0.1:25"
    luigi: str | None = None
    key: str | None = None
    trust: tuple[str, ...] = ()
    spark: Mapping[str, str] = field(default_factory=dict)
    openlineage: Mapping[str, str] = field(default_factory=dict)
    platforms: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("ledger", "lake", "online", "kafka", "warehouse", "metastore", "smtp", "luigi"):
            if value := getattr(self, name):
                address(value if "://" in value or value.startswith("jdbc:") else f"{name}://{value}", f"CAUDAL_{name.upper()}")
        for value in self.openlineage.values():
            if "://" in str(value):
                address(str(value), "CAUDAL_OPENLINEAGE")
        if self.engine.startswith("sc://"):
            for parameter in self.engine.partition("/;")[2].split(";"):
                name, _, value = parameter.partition("=")
                if value and is_secret_name(name):
                    Secret(value)
        elif self.engine not in ENGINES:
            raise DeclarationProblem(
                f"The setting engine is '{self.engine}'.",
                nearest=nearest(self.engine, ENGINES),
                fix=f"Use {', '.join(ENGINES)} or sc://host:port.",
            )
        if self.key:
            Secret(self.key)
        secrets_hidden(self.spark)
        if not all(isinstance(table, Mapping) for table in self.platforms.values()):
            raise DeclarationProblem(
                "The setting platforms holds no tables.", fix="Write a table [platforms.NAME] for each service."
            )
        secrets_hidden(self.platforms)

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{field.name}={self._shown(field.name)}' for field in fields(self))})"

    def _shown(self, name: str) -> str:
        value = getattr(self, name)
        if name == "key" and value:
            return "***"
        if name == "engine":
            return repr(value.partition("/;")[0])
        if name == "platforms":
            return repr(secrets_hidden(value))
        if isinstance(value, Mapping):
            return repr({key: "***" if is_secret_name(key) else Address(str(text)).shown for key, text in value.items()})
        return repr(Address(value).shown) if isinstance(value, str) else repr(value)


def settings(folder: Path | None = None, environment: Mapping[str, str] | None = None, **flags: object) -> Settings:
    """Return the settings in force: ``flags`` that are not None, then variables, then the file in ``folder`` or above.

    Raises
    ------
    DeclarationProblem : the file cannot be read, or sets an unknown setting
    """
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {}
    names = [field.name for field in fields(Settings)]
    if file := _find_file(folder or Path.cwd()):
        try:
            file_values = tomllib.loads(file.read_text())
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise DeclarationProblem(f"{file} cannot be read: {error}.", where=str(file)) from None
        for name, value in file_values.items():
            if name not in names:
                raise DeclarationProblem(
                    f"{file.name} sets '{name}', which is not a setting.", nearest=nearest(name, names), where=str(file)
                )
            below = name in ("home", "data") or (name == "lake" and "://" not in value)
            values[name] = file.parent / value if below else value
    for name in names:
        if name not in ("spark", "openlineage", "platforms") and (variable := environment.get(f"CAUDAL_{name.upper()}")):
            values[name] = variable
    if place := environment.get("CAUDAL_OPENLINEAGE"):
        values["openlineage"] = {"url" if "://" in place else "file": place}
    values |= {name: value for name, value in flags.items() if value is not None}
    for name in ("home", "data"):
        if values.get(name) is not None:
            values[name] = Path(values[name]).expanduser()
    if values.get("lake") is not None:
        values["lake"] = str(values["lake"])
    for name in ("cores", "jobs", "workers"):
        if values.get(name) is not None:
            try:
                values[name] = int(values[name])
            except ValueError:
                raise DeclarationProblem(f"The setting {name} is '{values[name]}'.", fix="Give a whole number.") from None
    try:
        values["settle"] = None if values.get("settle") is None else float(values["settle"])
    except ValueError:
        raise DeclarationProblem(f"The setting settle is '{values['settle']}'.", fix="Give a number of seconds.") from None
    trusted = values.get("trust", ())
    values["trust"] = tuple(part.strip() for part in (trusted.split(",") if isinstance(trusted, str) else trusted) if part.strip())
    values["spark"] = {str(key): str(value) for key, value in _flatten(values.get("spark", {}))}
    return Settings(**values)


def _flatten(tree: Mapping[str, object], above: str = "") -> list[tuple[str, object]]:
    """Return the leaves of nested TOML tables by their dotted names."""
    leaves: list[tuple[str, object]] = []
    for key, value in tree.items():
        name = f"{above}{key}"
        leaves += _flatten(value, name + ".") if isinstance(value, Mapping) else [(name, value)]
    return leaves


def _find_file(folder: Path) -> Path | None:
    for place in (folder.absolute(), *folder.absolute().parents):
        if (place / FILE).is_file():
            return place / FILE
    return None
