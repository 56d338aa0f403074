"""The Spark session of this process: application, master, driver, executors, settings."""

from __future__ import annotations

import sys
from typing import Any, Iterator

from caudal.inspection.fact import InspectedFact, InspectionProbe, known, known_if, not_known
from caudal.inspection.masking import mask_setting
from caudal.inspection.scope import InspectionScope
from caudal.inspection.session import session_jvm, session_setting

ORDER = 120
_EXECUTOR_BYTES = ("storage_memory",)


def findings(scope: InspectionScope) -> Iterator[InspectedFact]:
    """Yield what the session says of itself; without one, why."""
    spark, jvm = scope.spark, session_jvm(scope)
    if spark is None:
        yield not_known("session", "Spark session", scope.spark_missing)
        return
    kind = f"{type(spark).__module__}.{type(spark).__name__}"
    yield known(
        "session", "Spark session", "in this process" if jvm is not None else "a client of Spark Connect", f"its type is {kind}"
    )
    yield known("spark_version", "Version of Spark", spark.version, "session.version")
    for name, label, setting in (
        ("application", "Application", "spark.app.name"), ("application_id", "Application id", "spark.app.id"), ("master", "Master", "spark.master"),
        ("deploy_mode", "Deploy mode", "spark.submit.deployMode"), ("driver_host", "Host of the driver", "spark.driver.host"),
        ("catalog", "Catalog", "spark.sql.catalogImplementation"), ("time_zone", "Time zone of the session", "spark.sql.session.timeZone"),
    ):  # fmt: skip
        yield known_if(
            name, label, session_setting(scope, setting), f"Spark setting {setting}", f"the session does not tell {setting}"
        )
    if jvm is None:
        yield not_known("executors", "Executors", "Spark Connect tells its clients neither executors nor the driver")
        return
    yield from _driver(spark, jvm)
    context = spark.sparkContext
    rows = list(_executors(context))
    yield known_if(
        "executors", "Executors", rows, "the driver's status store", "the status store names none", bytes_in=_EXECUTOR_BYTES
    )
    memory = session_setting(scope, "spark.executor.memory")
    local = str(context.master).startswith("local")
    if local:
        yield known(
            "executor_memory",
            "Heap of an executor",
            "that of the driver",
            "the master is local: driver and executor are one process",
        )
    else:
        yield known(
            "executor_memory",
            "Heap of an executor",
            memory or "1g",
            "Spark setting spark.executor.memory" if memory else "Spark's default",
        )
    yield known("parallelism", "Default parallelism", context.defaultParallelism, "sparkContext.defaultParallelism")
    yield known_if("worker_python", "Python of the workers", context.pythonExec, "sparkContext.pythonExec", "the context has none")
    settings = [{"setting": name, "value": mask_setting(name, value)} for name, value in sorted(context.getConf().getAll())]
    yield known("settings", "Settings", settings, "sparkContext.getConf, what was set when the session began; secrets are masked")


def _driver(spark: Any, jvm: Any) -> Iterator[InspectedFact]:
    system = jvm.java.lang.System
    context = spark.sparkContext
    yield known("spark_user", "User of Spark", context.sparkUser(), "sparkContext.sparkUser")
    program = sys.argv[0] if sys.argv and sys.argv[0] else None
    yield known_if("driver_program", "Program of the driver", program, "sys.argv", "this process was not started from a file")
    yield known(
        "driver_folder", "Working folder of the driver", system.getProperty("user.dir"), "system property user.dir of its Java"
    )
    yield known_if(
        "driver_class",
        "Class that its Java runs",
        (system.getProperty("sun.java.command") or "").partition(" ")[0],
        "system property sun.java.command",
        "Java does not say",
    )
    yield known("driver_process", "Process of its Java", jvm.java.lang.ProcessHandle.current().pid(), "ProcessHandle.pid")
    runtime = jvm.java.lang.Runtime.getRuntime()
    yield known("driver_heap", "Heap of the driver, at most", runtime.maxMemory(), "Runtime.maxMemory", "bytes")
    yield known("driver_cores", "Cores that its Java sees", runtime.availableProcessors(), "Runtime.availableProcessors")
    yield known("scala", "Scala", jvm.scala.util.Properties.versionNumberString(), "scala.util.Properties")
    yield known("hadoop", "Hadoop", jvm.org.apache.hadoop.util.VersionInfo.getVersion(), "org.apache.hadoop.util.VersionInfo")
    yield known_if("ui", "Page of the application", context.uiWebUrl, "sparkContext.uiWebUrl", "spark.ui.enabled is false")


def _executors(context: Any) -> Iterator[dict[str, Any]]:
    """Yield the executors that are alive, of which the driver is one."""
    listed = context._jsc.sc().statusStore().executorList(True)
    for place in range(listed.size()):
        executor = listed.apply(place)
        yield {
            "executor": executor.id(), "host": executor.hostPort(), "cores": executor.totalCores(), "storage_memory": executor.maxMemory(),
            "tasks": executor.totalTasks(), "failed": executor.failedTasks(),
        }  # fmt: skip


PROBE = InspectionProbe("session", "Spark session", findings)
