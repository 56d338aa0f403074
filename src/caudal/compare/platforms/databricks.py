"""``databricks:NAME``: runs on a cluster of Databricks, by its Jobs API; the table ``[platforms.NAME]`` says where."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.diagram import architecture, edge, node
from caudal.compare.platform import SPARK_MEASURES, Platform, PlatformKind, RunningPlatform, by_form
from caudal.compare.sent_files import open_settings
from caudal.compare.services.running import NO_PROCESSES, running_service
from caudal.compare.services.table import platform_table
from caudal.errors import DeclarationProblem
from caudal.secret import Secret

if TYPE_CHECKING:
    from caudal.declarations.settings import Settings
    from caudal.report.documents.comparison import Diagram

_KINDS = {
    "host": str, "token": str, "volume": str, "cluster": dict, "cluster_id": str, "engine": str, "lake": str, "libraries": list,
}  # fmt: skip
_REQUIRED = {
    "host": '"https://….cloud.databricks.com"', "token": '"…"', "volume": '"/Volumes/CATALOG/SCHEMA/VOLUME"',
}  # fmt: skip
_VARIABLES = {"host": "DATABRICKS_HOST", "token": "DATABRICKS_TOKEN"}
_OWN = ("pyspark-client", "pysail")  # a cluster has PySpark, and needs no Sail
_OTHER_WORK = "Spark's measures of jobs and stages: the event log of a cluster that runs already holds other work too"


class Databricks(Platform):
    """A workspace, in which a cluster is started for each repetition, or one is used that is there."""

    kind = "databricks"
    is_service = True
    writes_event_log = False

    @contextmanager
    def started(self, folder: Path, settings: Settings) -> Iterator[RunningPlatform]:
        """Send the cluster a wheel of caudal, yield the workspace, and remove what was sent.

        Raises
        ------
        DeclarationProblem : the table of the settings is not right
        EnvironmentProblem : the workspace cannot be reached, or refuses
        """
        from caudal.compare.services.databricks import DatabricksService
        from caudal.compare.services.wheel import write_wheel

        name = self.text.partition(":")[2]
        table = platform_table(settings, name, _KINDS, _REQUIRED, _VARIABLES)
        engine, volume = table.get("engine", "spark"), table["volume"].rstrip("/")
        if ("cluster" in table) == ("cluster_id" in table):
            raise DeclarationProblem(
                f"The table [platforms.{name}] must have one of 'cluster' and 'cluster_id'.",
                fix="Write what a new cluster is (spark_version, node_type_id, num_workers), or the number of one.",
            )
        if engine not in ("spark", "sail"):
            raise DeclarationProblem(f"'engine' of [platforms.{name}] is '{engine}'.", fix="Use spark or sail.")
        if not volume.startswith("/Volumes/"):
            raise DeclarationProblem(f"'volume' of [platforms.{name}] is '{volume}'.", fix=f"Write {_REQUIRED['volume']}.")
        if not table.get("lake", "s3://bucket").startswith("s3://"):
            raise DeclarationProblem(f"'lake' of [platforms.{name}] is '{table['lake']}'.", fix="Write s3://BUCKET/….")
        cluster = table.get("cluster_id")
        if cluster is None:
            cluster = dict(table["cluster"])
            cluster["spark_conf"] = {**open_settings(settings.spark), **cluster.get("spark_conf", {})}
        service = DatabricksService(
            table["host"].rstrip("/"), Secret(table["token"]).reveal(), f"{volume}/caudal-compare-{uuid.uuid4().hex[:12]}", cluster,
            table.get("libraries", ()), table.get("lake"),
        )  # fmt: skip
        service.check(volume)
        lacks = (*self.lacks, *([SPARK_MEASURES] if engine == "sail" else [_OTHER_WORK] if isinstance(cluster, str) else []))
        with running_service(replace(self, lacks=lacks), service, engine, settings) as running:
            folder.mkdir(parents=True, exist_ok=True)
            service.install(write_wheel(folder, _OWN if engine == "spark" else ()))
            yield running

    def diagram(self, settings: Settings) -> Diagram:
        """Return driver and service; executors are added as they are found."""
        engine = settings.platforms.get(self.text.partition(":")[2], {}).get("engine", "spark")
        parts = [node("server", "Databricks"), node("driver", "driver" if engine == "spark" else "caudal and Sail")]
        return architecture(parts, [edge("server", "driver", "a run of the Jobs API")])


PLATFORM = PlatformKind(
    "databricks", "databricks:NAME", "a cluster of Databricks, by its Jobs API; runs only",
    by_form(
        r"databricks:([\w-]+)",
        lambda match, text: Databricks(text, f"Databricks ('{match[1]}')", frozenset({"run"}), None, (NO_PROCESSES,)),
    ),
)  # fmt: skip
