"""What the script of ``caudal inspect --script`` does when it is started, or run in a notebook's cell."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, Mapping, Sequence

from caudal.inspection.examine import examine
from caudal.inspection.fact import InspectionProbe
from caudal.inspection.page import inspection_page, notebook_part
from caudal.inspection.scope import LINK_LOCAL, InspectionScope
from caudal.inspection.session import running_session
from caudal.inspection.text import plain_text


def run_script(probes: Mapping[str, InspectionProbe], css: str, version: str) -> int:
    """Inspect, and print text, JSON or write a page; in a notebook, show it below the cell. Return the exit code."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None and type(shell).__name__ != "TerminalInteractiveShell":
        _show(notebook_part(examine(InspectionScope(spark=running_session()), probes.values())))
        return 0
    options = _options(probes, version)
    scope = InspectionScope(metadata=options.metadata, master=options.master, ui=options.ui, timeout_s=options.timeout)
    scope.spark, scope.spark_missing = _session(options.session, scope.spark_missing)
    document = examine(scope, [probe for name, probe in probes.items() if name in (options.only or probes)])
    if options.html:
        with open(options.html, "w", encoding="utf-8", errors="replace") as file:
            file.write(inspection_page(document, css))
    text = json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n" if options.json else plain_text(document)
    if not options.html or options.json:
        sys.stdout.buffer.write(text.encode("utf-8", errors="replace"))
    return 0


def _options(probes: Mapping[str, InspectionProbe], version: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Says what this machine, its cluster and its Spark are (caudal {version}).")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--html", metavar="FILE", help="write a page of one file")
    parser.add_argument(
        "--only", action="append", choices=list(probes), metavar="SECTION", help=f"only this one: {', '.join(probes)}"
    )
    parser.add_argument(
        "--session", action="store_true", help="start a Spark session, and ask it too; done anyway under spark-submit"
    )
    parser.add_argument("--master", help="a Spark master, spark://host:port, or its page, http://host:8080")
    parser.add_argument(
        "--ui", action="append", default=[], metavar="URL", help="page of a running application, such as http://host:4040"
    )
    parser.add_argument("--metadata", default=LINK_LOCAL, metavar="URL", help="address of the cloud's metadata services")
    parser.add_argument("--timeout", type=float, default=1.0, metavar="SECONDS", help="until what does not answer counts as away")
    return parser.parse_args()


def _session(wanted: bool, missing: str) -> tuple[Any, str]:
    """Return a session, and why there is none: the one that runs, or one that is started where that is wanted or spark-submit runs this."""
    session = running_session()
    if session is not None or not (wanted or os.environ.get("PYSPARK_GATEWAY_PORT")):
        return session, missing
    try:
        from pyspark.sql import SparkSession

        return SparkSession.builder.getOrCreate(), missing
    except ImportError:
        return None, "this Python cannot import pyspark"
    except Exception as error:
        return None, f"no session could be started: {(str(error).strip().splitlines() or [type(error).__name__])[0][:300]}"


def _show(html: str) -> None:
    shown: Any = sys.modules["IPython"].display  # it runs this
    shown.display(shown.HTML(html))


def probes_of(modules: Sequence[Any]) -> dict[str, InspectionProbe]:
    """Return the probes of modules by name, in their order."""
    ordered = sorted(modules, key=lambda module: (getattr(module, "ORDER", 1000), module.PROBE.name))
    return {module.PROBE.name: module.PROBE for module in ordered}
