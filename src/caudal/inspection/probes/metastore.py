"""The Hive metastore: the relational database behind it, and the folders of its warehouse."""

from __future__ import annotations

from pathlib import Path
from typing import Iterator

from caudal.inspection.configuration import site_settings
from caudal.inspection.fact import InspectedFact, InspectionProbe, known, known_if, not_known
from caudal.inspection.masking import mask_text
from caudal.inspection.metastore import (
    DRIVER,
    URL,
    USER,
    MetastoreSettings,
    database_answer,
    database_of,
    metastore_settings,
    not_made,
)
from caudal.inspection.scope import InspectionScope
from caudal.inspection.session import session_jvm, session_setting

ORDER = 150
_URIS, _WAREHOUSE = "hive.metastore.uris", "hive.metastore.warehouse.dir"
_FACTORY = "hive.metastore.client.factory.class"
_DATABASE = "Database of the metastore"


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the kind of metastore, its database with version, and the warehouse."""
    site = site_settings(scope, "hive-site.xml")
    warehouse = session_setting(scope, "spark.sql.warehouse.dir")
    if warehouse:
        yield known("warehouse", "Warehouse", warehouse, "Spark setting spark.sql.warehouse.dir")
    elif site and site[0].get(_WAREHOUSE):
        yield known("warehouse", "Warehouse", site[0][_WAREHOUSE], f"{site[1]}, {_WAREHOUSE}")
    else:
        yield not_known("warehouse", "Warehouse", f"{_reason(scope)}, and no hive-site.xml sets {_WAREHOUSE}")
    if session_setting(scope, "spark.databricks.unityCatalog.enabled") == "true":
        yield known("metastore", "Metastore", "Unity Catalog", "Spark setting spark.databricks.unityCatalog.enabled")
        yield not_known("database", _DATABASE, "Unity Catalog does not tell it")
        return
    if session_jvm(scope) is not None:
        yield from _of_session(scope, site)
    elif site is not None:
        yield from _of_settings(*site)
    else:
        yield from _of_folder(scope)


def _reason(scope: InspectionScope) -> str:
    return scope.spark_missing if scope.spark is None else "the session does not tell spark.sql.warehouse.dir"


def _of_session(scope: InspectionScope, site: tuple[dict[str, str], str] | None) -> Iterator[InspectedFact]:
    """Yield what the session's own client of the metastore uses, its defaults included."""
    if session_setting(scope, "spark.sql.catalogImplementation") != "hive":
        yield known(
            "metastore", "Metastore", "none: the session's catalog is in memory", "Spark setting spark.sql.catalogImplementation"
        )
        if site is not None:
            yield from _of_settings(*site)
        return
    settings = metastore_settings(scope)
    version = session_setting(scope, "spark.sql.hive.metastore.version")
    yield known_if(
        "hive",
        "Version of Hive's client",
        version,
        "Spark setting spark.sql.hive.metastore.version",
        "the session does not tell it",
    )
    if "glue" in settings.factory.lower():
        yield known("metastore", "Metastore", "AWS Glue Data Catalog", f"{_FACTORY} is {settings.factory}")
        yield not_known("database", _DATABASE, "Glue is a service of Amazon's and does not tell it")
        return
    if settings.uris:
        yield from _remote(settings.uris, f"the session's configuration, {_URIS}", site)
        return
    yield known("metastore", "Metastore", "Hive, embedded: the session itself reads the database", f"the session sets no {_URIS}")
    how = "Hive's default, since nothing is set" if settings.is_default else "the session's configuration"
    yield from _address({URL: settings.url, DRIVER: settings.driver, USER: settings.user}, how)
    yield from _asked(scope, settings)


def _asked(scope: InspectionScope, settings: MetastoreSettings) -> Iterator[InspectedFact]:
    try:
        reason = not_made(scope, settings) if settings.url.startswith("jdbc:derby:") else None
        if reason is not None:
            yield not_known("database_version", "Version of the database", reason)
            return
        answer = database_answer(scope, settings)
    except Exception as error:
        yield not_known("database_version", "Version of the database", mask_text(f"its driver fails: {_first_line(error)}"))
        return
    yield known("database_version", "Version of the database", answer.product, f"the database itself, by {answer.driver}")
    label = "Version of the metastore's schema"
    why = 'its table "VERSION" is empty or missing' if answer.is_made else "the database has no tables of Hive's"
    yield known_if("schema_version", label, answer.schema, 'table "VERSION" of the database', why)


def _first_line(error: Exception) -> str:
    java = getattr(error, "java_exception", None)
    return (str(java.toString()) if java is not None else str(error)).strip().splitlines()[0][:300]


def _of_settings(settings: dict[str, str], file: str) -> Iterator[InspectedFact]:
    """Yield what ``hive-site.xml`` says, which nothing has been asked about."""
    if "glue" in settings.get(_FACTORY, "").lower():
        yield known("configured_metastore", "Metastore of hive-site.xml", "AWS Glue Data Catalog", f"{file}, {_FACTORY}")
    elif settings.get(_URIS):
        yield from _remote(settings[_URIS], f"{file}, {_URIS}", (settings, file))
    elif settings.get(URL):
        yield from _address(settings, file)
        yield not_known("database_version", "Version of the database", "only a session with Hive's catalog asks the database")
    else:
        yield not_known("database", _DATABASE, f"{file} sets neither {_URIS} nor {URL}")


def _remote(uris: str, how: str, site: tuple[dict[str, str], str] | None) -> Iterator[InspectedFact]:
    yield known("metastore", "Metastore", f"a service at {uris}", how)
    if site is not None and site[0].get(URL):  # on the machine of the service itself
        yield from _address(site[0], site[1])
    else:
        yield not_known("database", _DATABASE, f"the service does not tell its clients, and no hive-site.xml here sets {URL}")


def _address(settings: dict[str, str], how: str) -> Iterator[InspectedFact]:
    url = settings[URL]
    yield known("database", _DATABASE, database_of(url), f"{how}, {URL}")
    yield known("database_url", "Its address", url, f"{how}, {URL}")
    for name, label, setting in (("database_driver", "Its driver", DRIVER), ("database_user", "Its user", USER)):
        if settings.get(setting):
            yield known(name, label, settings[setting], f"{how}, {setting}")


def _of_folder(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield the Derby database that Spark makes in the working folder where nothing else is configured."""
    folder = Path.cwd() / "metastore_db"
    if (folder / "service.properties").is_file():
        yield known("database", _DATABASE, "Derby", f"there is {folder}, as Spark makes it where nothing is configured")
        yield not_known("database_version", "Version of the database", "only a session with Hive's catalog asks the database")
    else:
        reason = scope.spark_missing if scope.spark is None else "the session is one of Spark Connect, which does not tell"
        yield not_known(
            "metastore", "Metastore", f"{reason}, no hive-site.xml was found, and there is no metastore_db in {Path.cwd()}"
        )


PROBE = InspectionProbe("metastore", "Hive metastore", findings)
