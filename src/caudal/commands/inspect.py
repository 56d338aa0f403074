"""``caudal inspect``: what this machine, its cluster and its Spark are, each fact with how it was found out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from caudal.declarations.settings import Settings
from caudal.engine.choice import engines
from caudal.engine.classic import CLASSIC
from caudal.engine.protocol import SessionRequest
from caudal.errors import CaudalError, DeclarationProblem, nearest
from caudal.extras import has_spark
from caudal.inspection.build_script import build_script
from caudal.inspection.configuration import site_settings
from caudal.inspection.examine import examine
from caudal.inspection.scope import LINK_LOCAL, InspectionScope
from caudal.inspection.session import running_session
from caudal.kinds import PROBES
from caudal.report.markup import FOLDER

if TYPE_CHECKING:
    from caudal.engine.protocol import QueryEngine
    from caudal.report.documents import InspectDocument

# Drivers of the databases that Hive's metastore may have: a connector, or where it is to be had.
_DRIVERS = {
    "postgresql": "postgresql",
    "mysql": "com.mysql:mysql-connector-j:9.4.0",
    "mariadb": "org.mariadb.jdbc:mariadb-java-client:3.5.3",
}
# Of hive-site.xml, what a client of the metastore needs.
_HIVE = ("javax.jdo.option.", "datanucleus.", "hive.metastore.")


@dataclass(frozen=True)
class InspectionRequest:
    """What to inspect.

    Parameters
    ----------
    only : the sections; all where none is named
    start : whether a session is started where none runs
    master : Spark master, ``spark://host:port`` or its page ``http://host:8080``
    ui : pages of running applications
    metadata : address of the cloud's metadata services
    timeout_s : until what does not answer counts as away
    """

    only: Sequence[str] = ()
    start: bool = False
    master: str | None = None
    ui: Sequence[str] = ()
    metadata: str = LINK_LOCAL
    timeout_s: float = 1.0


def inspection_document(request: InspectionRequest, settings: Settings, spark: Any = None) -> InspectDocument:
    """Return the document of an inspection.

    Parameters
    ----------
    spark : a session to ask; the one that runs in this process when left out

    Raises
    ------
    DeclarationProblem : a section is named that there is not
    """
    for name in request.only:
        if name not in PROBES:
            raise DeclarationProblem(
                f"There is no section '{name}'.", nearest=nearest(name, PROBES), fix=f"There are: {', '.join(PROBES)}."
            )
    scope = InspectionScope(
        metadata=request.metadata.rstrip("/"), master=request.master or settings.master, ui=request.ui, timeout_s=request.timeout_s
    )
    probes = [PROBES[name] for name in request.only or PROBES]
    with _session(request, settings, scope, spark):
        return cast("InspectDocument", examine(scope, probes))


def inspection_script() -> str:
    """Return the text of the script that inspects without caudal."""
    return build_script(FOLDER / "run.css")


@contextmanager
def _session(request: InspectionRequest, settings: Settings, scope: InspectionScope, spark: Any) -> Iterator[None]:
    """Give the scope a session: the given or the running one, else one that is started, and ended afterwards, where that is asked for."""
    scope.spark = spark if spark is not None else running_session()
    if scope.spark is not None or not request.start:
        yield
        return
    engine = _engine(settings)
    conf, connectors = _hive(scope, settings)
    asked = SessionRequest(
        connectors=connectors,
        master=_master(scope),
        cores=settings.cores,
        memory=settings.memory,
        conf=conf,
        app="caudal inspect",
        brief=True,
    )
    with engine.speaking():
        try:
            scope.spark = engine.session(asked)
        except CaudalError as error:  # what a machine lacks is what an inspection is to say
            scope.spark_missing = f"no session could be started: {error.sentence()}"
        try:
            yield
        finally:
            scope.spark = None
            engine.stop()


def _engine(settings: Settings) -> QueryEngine:
    """Return the engine of the settings; for ``auto`` Spark where it is installed, since it tells more than Sail."""
    if settings.engine == "auto" and has_spark():
        return CLASSIC
    return engines(settings.engine)[0]


def _master(scope: InspectionScope) -> str | None:
    """Return the master that a session is to connect to; its page is not an address of it."""
    return None if scope.master is None or scope.master.startswith("http") else scope.master


def _hive(scope: InspectionScope, settings: Settings) -> tuple[Mapping[str, str], frozenset[str]]:
    """Return the Spark settings by which a session reads the metastore that ``hive-site.xml`` names, and the connector that its database needs."""
    conf = dict(settings.spark)
    site = site_settings(scope, "hive-site.xml")
    hive_settings = {} if site is None else {name: value for name, value in site[0].items() if name.startswith(_HIVE)}
    url = conf.get("spark.hadoop.javax.jdo.option.ConnectionURL") or hive_settings.get("javax.jdo.option.ConnectionURL", "")
    if url or hive_settings.get("hive.metastore.uris"):
        conf = {f"spark.hadoop.{name}": value for name, value in hive_settings.items()} | conf
        conf.setdefault("spark.sql.catalogImplementation", "hive")
        if warehouse := hive_settings.get("hive.metastore.warehouse.dir"):
            conf.setdefault("spark.sql.warehouse.dir", warehouse)
    driver = _DRIVERS.get(url.split(":")[1]) if url.count(":") > 1 else None
    return conf, frozenset({driver} if driver else ())
