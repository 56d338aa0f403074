"""The work of a parcel, on the machine to which it was brought: ``python -m caudal.compare.notebooks.ordered_work FOLDER RESULTS.zip``.

It is a comparison of the platforms of the order, by the code that compares here: each repetition is a process that is watched from outside. What a
comparison reads of it goes into one file: documents, logs, and each table once for each content.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.attempt import WorkOrder
from caudal.compare.comparison import DOCUMENT, ComparisonRequest, PlatformComparison, place_name
from caudal.compare.machine import this_machine
from caudal.compare.notebooks.order import ORDER, read_order
from caudal.compare.notebooks.parcel import messages_folder
from caudal.compare.platforms.colab import PLATFORM, Colab
from caudal.compare.published import distinct_tables, table_folders
from caudal.declarations.settings import settings
from caudal.errors import CaudalError
from caudal.kinds import FAULTS

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument

_OF_ATTEMPTS = ("task.json", "output.txt", "result.json", "moments.jsonl", "ui.json")


def do_order(folder: Path) -> CompareDocument:
    """Do the work of a parcel that was unpacked into a folder, anew, and return what was measured."""
    order = read_order(folder / ORDER)
    place = folder / "work"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    for path, moment in order.changed_ns.items():
        os.utime(folder / path, ns=(moment, moment))
    request = ComparisonRequest(
        order.product, WorkOrder(folder / "product" / order.folder / order.file, order.workload, {"data": str(folder / "data") if order.has_data else None}),
        [_platform(text).there() for text in order.platforms], [FAULTS[name] for name in order.faults], place, settings(folder),
        {share: folder / messages_folder(share) for share in order.shares}, (), this_machine(), order.repeats, order.warm_ups, order.limit_s,
        order.seed, order.prices, keeps_tables=True,
    )  # fmt: skip
    return PlatformComparison(request, lambda line: print(line, flush=True)).run()


def pack_results(folder: Path, document: CompareDocument, target: Path) -> None:
    """Write what a comparison reads of the work into a zip file."""
    place = Path(document["folder"])
    part = target.with_name(f".{target.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(folder / ORDER, ORDER)
        archive.writestr(DOCUMENT, json.dumps(document))
        for file in _results(place, document):
            archive.write(file, file.relative_to(place).as_posix())
    part.replace(target)


def _results(place: Path, document: CompareDocument) -> list[Path]:
    """Return the files of logs and results, and those of the tables that differ from what earlier repetitions gave."""
    files = [
        file
        for name in _OF_ATTEMPTS
        for file in sorted(place.glob(f"*/*/**/{name}"))
        if "home" not in file.relative_to(place).parts
    ]
    files += [file for file in sorted(place.glob("*/*/**/event-logs/**/*")) if file.is_file() and not file.name.startswith(".")]
    for platform in document["platforms"]:
        whole = [each for each in platform["repetitions"] if each["state"] == "done" and each["share"] == 1.0]
        homes = [place / place_name(platform["platform"]) / f"{each['number']:03d}" / "home" for each in whole]
        for home, names in distinct_tables(homes, [each["tables"] for each in whole]).items():
            tables = table_folders(home)
            files += [file for name in names for file in sorted(tables[name].rglob("*")) if file.is_file()]
    return files


def _platform(text: str) -> Colab:
    platform = PLATFORM.read(text)
    assert isinstance(platform, Colab)
    return platform


def bring_results(folder: Path, target: Path) -> int:
    """Do the work and pack its results; return the exit code."""
    try:
        document = do_order(folder)
    except CaudalError as error:
        print(error)
        return error.exit_code or 1
    pack_results(folder, document, target)
    for platform in document["platforms"]:
        if platform["state"] != "measured":
            print(f"{platform['platform']}: {platform['state']}. {platform['why']}")
    print(f"Results: {target.name}, {target.stat().st_size / 2**20:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(bring_results(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute()))
