"""What runs on a service's driver: a parcel is unpacked, its work done on the Spark that the driver has, and a home sent back.

Its arguments are the addresses of the parcel and of the home, when the work was submitted, and the place of its lake, or a dash.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import zipfile
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import caudal
from caudal.compare.repetition import do_task
from caudal.compare.services.parcel import unpack_parcel
from caudal.engine.session import join
from caudal.errors import EnvironmentProblem
from caudal.extras import installed
from caudal.storage.place import Place, Remote, local, place, put, relative_path, remove

NO_LAKE = "-"
_RESULT = "result.json"
_LEAST = 4  # of Spark's versions


class WorkFailed(Exception):
    """The work has failed, as its result says; the service is to show that too."""


def work_on_parcel() -> None:
    """Do the work that the arguments name.

    Raises
    ------
    WorkFailed : it failed. A driver is shared with its service, and is not ended by an exit code
    """
    parcel, home, started_at, lake = sys.argv[1:5]
    with tempfile.TemporaryDirectory(prefix="caudal-parcel-", ignore_cleanup_errors=True) as folder:
        why = do_parcel(place(parcel), place(home), Path(folder), float(started_at), None if lake == NO_LAKE else place(lake))
    if why is not None:
        raise WorkFailed(why)


def do_parcel(parcel: Place, sent_to: Place, folder: Path, started_at: float, lake: Place | None) -> str | None:
    """Do the work of a parcel, send its home, and return why it failed, or None.

    Parameters
    ----------
    folder : of this machine; empty
    lake : where tables lie while the work is done, if executors do not reach this machine's disk
    """
    work, home = folder / "work", folder / "home"
    for each in (work, home):
        each.mkdir()
    order = unpack_parcel(local(parcel, folder), folder / "parcel")
    changes = order["changes"] | ({} if lake is None else {"lake": str(lake)})
    task = {
        **order, "changes": changes, "home": str(home), "executor": "spark", "spark": {}, "writes_log": False, "started_at": started_at
    }  # fmt: skip
    (work / "task.json").write_text(json.dumps(task))
    try:
        _check_version(order.pop("caudal"))
        if changes["engine"] == "spark":
            _join(folder / "metadata")
        do_task(work / "task.json")
        result = json.loads((work / _RESULT).read_text())
        if lake is not None:
            _fetch_tables(lake / "lake", home / "lake")
    except EnvironmentProblem as error:
        result = {"state": "failed", "why": " ".join(filter(None, (error.what, error.fix)))}
        (work / _RESULT).write_text(json.dumps(result))
    finally:
        if lake is not None:
            remove(lake)
    packed = folder / "home.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for top in (work, home):
            for file in sorted(file for file in top.rglob("*") if file.is_file() and file.relative_to(folder).parts[1] != "raw"):
                archive.write(file, file.relative_to(folder).as_posix())
    if isinstance(sent_to, Remote):
        put(packed, sent_to)
    else:
        shutil.copyfile(packed, sent_to)
    return None if result["state"] == "done" else str(result["why"])


def _check_version(sender: str) -> None:
    """Raise where the service has another caudal: its repetition would not be the same work.

    Raises
    ------
    EnvironmentProblem : so it is
    """
    if sender != caudal.__version__:
        raise EnvironmentProblem(
            f"The service has caudal {caudal.__version__}, and the work is one of caudal {sender}.",
            fix=f"Install caudal {sender} there.",
        )


def _join(metadata: Path) -> None:
    """Take the session of the driver, or that which its settings make.

    Raises
    ------
    EnvironmentProblem : its Spark is too old
    """
    import pyspark
    from pyspark.sql import SparkSession

    if int(pyspark.__version__.partition(".")[0]) < _LEAST:
        raise EnvironmentProblem(
            f"The service's Spark is {pyspark.__version__}, and caudal needs version {_LEAST}.", fix="Choose a newer release there."
        )
    join(SparkSession.getActiveSession() or SparkSession.builder.getOrCreate())
    try:
        installed("pyspark")
    except PackageNotFoundError:  # it lies on the path of a driver as files alone
        facts = metadata / f"pyspark-{pyspark.__version__}.dist-info"
        facts.mkdir(parents=True)
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pyspark\nVersion: {pyspark.__version__}\n")
        sys.path.append(str(metadata))


def _fetch_tables(lake: Place, target: Path) -> None:
    for file in lake.rglob("*"):
        if isinstance(file, Remote):
            local(file, (target / relative_path(file, lake)).parent)
        elif file.is_file():
            copy = target / file.relative_to(str(lake))
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)


if __name__ == "__main__":
    work_on_parcel()
