"""Results that are taken into a comparison, which then has their platforms as if their work had been done here."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.attempt import WorkOrder
from caudal.compare.comparison import ComparisonRequest, PlatformComparison, PlatformWork, place_name
from caudal.compare.event_log import read_event_log
from caudal.compare.log_totals import totals
from caudal.compare.notebooks.notebook import ORDERED
from caudal.compare.notebooks.order import read_order
from caudal.compare.notebooks.results import unpack_results
from caudal.compare.platforms.colab import document_kind
from caudal.compare.published import published_tables
from caudal.compare.work import MeasuredRepetition
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError, DeclarationProblem, NotThere, SourceProblem

if TYPE_CHECKING:
    from caudal.compare.platform import Platform
    from caudal.report.documents.comparison import CompareDocument, PlatformDocument, RepetitionDocument


def take_in(before: CompareDocument, folder: Path, results: Path, platforms: Sequence[Platform]) -> CompareDocument:
    """Take in the results of the notebook of a comparison; write and return the comparison anew.

    Taken in again, or in another version, they take the place of those before.

    Parameters
    ----------
    folder : of the comparison, which may have been moved since
    platforms : of the comparison, in their order

    Raises
    ------
    NotThere : the comparison ordered nothing of a notebook, or there is no such file
    DeclarationProblem : the comparison has not ended
    SourceProblem : the file is damaged, or of another comparison
    """
    if not (folder / ORDERED).is_file():
        raise NotThere(
            f"The comparison in '{folder}' awaits no results.",
            fix="Compare with --on colab, and run the notebook that is written then.",
        )
    if not before["complete"] and before["stopped_by"] is None:
        raise DeclarationProblem("The comparison has not ended.", fix="Take the results in once it has.")
    order = read_order(folder / ORDERED)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".results-") as unpacked:
        place = Path(unpacked) / "work"
        done = unpack_results(results, place, order)
        brought = {each["platform"]: each for each in done["platforms"]}
        for new in done["platforms"]:
            _relocate(new, done["folder"], place)
            _read_here(new, place, results)
            _relocate(new, str(place), folder)
            new["machine"], new["kind"] = done["machine"], document_kind(new["kind"])
        for text in brought:
            if (place / place_name(text)).is_dir():
                _replace_folder(place / place_name(text), folder / place_name(text))
    works = []
    for platform, document in zip(platforms, before["platforms"], strict=True):
        if platform.text not in brought:
            _relocate(document, before["folder"], folder)
        works.append(_work(platform, brought.get(platform.text, document), folder))
    faults = [each for each in before["faults"] if each["platform"] not in brought]
    for fault in done["faults"]:
        fault["event_logs"] = [
            str(moved) for log in fault["event_logs"] if (moved := _moved(log, done["folder"], folder)) is not None
        ]
    request = ComparisonRequest(
        before["product"], WorkOrder(folder, order.workload, {}), platforms, (), folder, Settings(), {}, before["sources"], before["machine"],
        before["repeats"], before["warm_ups"], seed=before["seed"],
    )  # fmt: skip
    return PlatformComparison(request, lambda _: None).resume(before, works, [*faults, *done["faults"]])


def _replace_folder(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    source.rename(target)


def _home(folder: Path, platform: str, repetition: RepetitionDocument) -> Path:
    return folder / place_name(platform) / f"{repetition['number']:03d}" / "home"


def _is_whole(repetition: RepetitionDocument) -> bool:
    return repetition["state"] == "done" and repetition["share"] == 1.0


def _work(platform: Platform, document: PlatformDocument, folder: Path) -> PlatformWork:
    repetitions = document["repetitions"]
    homes = [_home(folder, platform.text, each) for each in repetitions if _is_whole(each)]
    done = [MeasuredRepetition(each, None) for each in repetitions]
    return PlatformWork(platform, None, document["state"], document["why"], done, homes, document)


def _moved(log: str, source: str, target: Path) -> Path | None:
    """Return where a file of a comparison lies once its folder was moved; None where it lay in none of its folders."""
    path = Path(log)
    return target / path.relative_to(source) if path.is_relative_to(source) and ".." not in path.parts else None


def _relocate(document: PlatformDocument, source: str, target: Path) -> None:
    for repetition in document["repetitions"]:
        moved = None if repetition["event_log"] is None else _moved(repetition["event_log"], source, target)
        repetition["event_log"] = None if moved is None else str(moved)


def _read_here(document: PlatformDocument, folder: Path, results: Path) -> None:
    """Let what can be read from the files that came home be read by this machine: the digests of tables, and the totals of event logs.

    Raises
    ------
    SourceProblem : a table is not there, or cannot be read
    """
    here: dict[tuple[str, str], str] = {}
    for repetition in document["repetitions"]:
        if _is_whole(repetition):
            try:
                brought = published_tables(_home(folder, document["platform"], repetition))
                here |= {(name, repetition["tables"][name]): digest for name, digest in brought.items()}
                repetition["tables"] = {name: here[name, digest] for name, digest in repetition["tables"].items()}
            except (CaudalError, OSError, ValueError, KeyError) as error:
                why = (
                    error.what
                    if isinstance(error, CaudalError)
                    else "it is not whole"
                    if isinstance(error, KeyError)
                    else str(error)
                )
                raise SourceProblem(
                    f"'{results}' lacks a table of repetition {repetition['number']} on '{document['platform']}': {why.rstrip('.')}.",
                    fix="Download it from the notebook again, or run that again.",
                ) from None
        if (log := repetition["event_log"]) is not None:
            try:
                repetition["totals"] = totals(read_event_log(Path(log)))
            except CaudalError as error:
                repetition["event_log"] = None
                document["missing"] = [*document["missing"], f"The event log of repetition {repetition['number']}: {error.what}"]
