"""``caudal compare``: one product's work on several platforms, repeated, broken on purpose, and written up."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.commands.replay import run_replay
from caudal.compare.attempt import WorkOrder
from caudal.compare.comparison import DOCUMENT, ComparisonRequest, PlatformComparison
from caudal.compare.fault import Fault
from caudal.compare.machine import this_machine
from caudal.compare.messages import take_messages
from caudal.compare.notebooks.notebook import NOTEBOOK, write_notebook
from caudal.compare.notebooks.parcel import pack_parcel
from caudal.compare.notebooks.take_in import take_in
from caudal.compare.platform import Platform, Workload
from caudal.compare.report.screenshots import ui_screenshots
from caudal.compare.report.write import write_report
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import DeclarationProblem, NotThere, nearest
from caudal.extras import require
from caudal.graph.load import load, product_file, with_data
from caudal.graph.registered import declarations_of_kind
from caudal.kinds import FAULTS, PLATFORMS
from caudal.runtime.opening import checked_product

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument, ComparedSource

_AT = "2026-01-05T08:00:00Z"
"""Event time of the first simulated sample: the same samples for each comparison."""


@dataclass(frozen=True)
class CompareOptions:
    """The options of ``caudal compare``.

    Parameters
    ----------
    on : platforms as they are written
    workload : ``run`` or ``stream``; None: that of the product's sources
    seconds, devices : of the simulated stream that is read where the home has no messages
    shares : further shares of the simulated stream, for the scaling model
    folder : where all is kept; a folder of the home unless given
    prices : a JSON file with the price of an hour of a core by platform
    sends : whether each repetition may send rows, publish to warehouses and alert, as the product declares
    """

    on: Sequence[str]
    faults: Sequence[str] = ()
    workload: Workload | None = None
    repeats: int = 3
    warm_ups: int = 1
    seconds: float = 120.0
    devices: int = 8
    shares: Sequence[float] = ()
    limit_s: float = 900.0
    seed: int = 0
    folder: Path | None = None
    prices: Path | None = None
    sends: bool = False


def compare_product(folder: Path, settings: Settings, options: CompareOptions, say: Callable[[str], None]) -> CompareDocument:
    """Do the product's work on each platform, and return what was measured; it is kept in a folder, and so are logs and results.

    Raises
    ------
    DeclarationProblem : there is no such platform or fault, or nothing that could be compared
    """
    file = product_file(folder)
    settings = with_data(settings, file)
    product = checked_product(load(file))
    if not options.on:
        raise DeclarationProblem("No platform is named.", fix="Add --on, for example --on sail,local[2].")
    platforms = [read_platform(text) for text in options.on]
    if len({each.text for each in platforms}) != len(platforms):
        raise DeclarationProblem("A platform stands twice in --on.", fix="Name each once.")
    faults = [_fault(name) for name in options.faults]
    workload = options.workload or _workload(product)
    if not options.sends:
        _check_stays_at_home(product)
    require("psutil", extra="compare", for_="caudal compare")
    place = options.folder or settings.home / "comparisons" / f"{product.name}-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}"
    if place.exists() and any(place.iterdir()):
        raise DeclarationProblem(f"'{place}' holds something already.", fix="Give a folder that is empty, or none.")
    place.mkdir(parents=True, exist_ok=True)
    place = place.absolute()
    messages = _messages(folder, product, settings, options, place, say) if workload == "stream" else {}
    flags = {"data": None if settings.data is None else str(settings.data.absolute())}
    request = ComparisonRequest(
        product.name, WorkOrder(folder.absolute(), workload, flags), platforms, faults, place, settings, messages,
        _sources(product, settings, workload, messages), this_machine(), options.repeats, options.warm_ups, options.limit_s, options.seed,
        _prices(options.prices), keeps_tables=any(each.awaits for each in platforms),
    )  # fmt: skip
    away = [each for each in platforms if each.awaits and workload in each.workloads]
    if away:
        parcel = pack_parcel(request, product, away)
        say(
            f"{', '.join(each.text for each in away)}: {write_notebook(place, parcel, away)} is written, and does its work in Google Colab"
        )
    return PlatformComparison(request, say).run()


def take_in_results(file: Path, results: Path) -> CompareDocument:
    """Take the results of a notebook into a comparison, and return its document, which is written anew.

    Parameters
    ----------
    file : the comparison.json
    results : the zip file that the notebook's last cell downloads

    Raises
    ------
    NotThere : one of the two is not there, or the comparison awaits no results
    DeclarationProblem : the comparison has not ended
    SourceProblem : the results are damaged, or of another comparison
    """
    document = read_comparison(file)
    return take_in(document, file.absolute().parent, results, [read_platform(each["platform"]) for each in document["platforms"]])


def next_step(folder: Path) -> str:
    """Return the sentence that says what a person does where a comparison awaits results."""
    return (
        f"Next: open {folder / NOTEBOOK} in Google Colab (File > Upload notebook), choose Runtime > Run all, and then give what it downloads to:"
        f" caudal compare {folder / DOCUMENT} --colab RESULTS.zip"
    )


def read_comparison(file: Path) -> CompareDocument:
    """Return a document that a comparison has written.

    Raises
    ------
    NotThere : there is none, or it is no document of a comparison
    """
    try:
        document: CompareDocument = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise NotThere(f"'{file}' cannot be read as a comparison: {error}.", fix="Give the comparison.json of one.") from None
    if not isinstance(document, dict) or "platforms" not in document:
        raise NotThere(f"'{file}' holds no comparison.", fix="Give the comparison.json of one.")
    return document


def report_comparison(document: CompareDocument, folder: Path, languages: Sequence[str], say: Callable[[str], None]) -> list[Path]:
    """Write the report in each language as a page and, where the library that sets it is installed, as PDF, with pictures of Spark's UI."""
    pictures, none = ui_screenshots(document)
    sets_pdf = find_spec("typst") is not None
    files = write_report(document, folder, languages, pictures, no_screenshots=none, pdf=sets_pdf)
    if not sets_pdf:
        say("No PDF is written, since typst is not installed: pip install 'caudal[pdf]'.")
    return files


def is_sound(document: CompareDocument) -> bool:
    """Return whether each platform could be measured or is awaited, all tables are equal, and no fault lost or doubled rows."""
    return (
        document["stopped_by"] is None
        and all(platform["state"] in ("measured", "refused", "awaited") for platform in document["platforms"])
        and any(platform["state"] in ("measured", "awaited") for platform in document["platforms"])
        and all(table["equal"] for table in document["tables"])
        and all(
            fault["state"] != "not recovered" and not fault["rows_lost"] and not fault["rows_doubled"]
            for fault in document["faults"]
        )
    )


def read_platform(text: str) -> Platform:
    """Return the platform that a text names.

    Raises
    ------
    DeclarationProblem : none has this form
    """
    for kind in PLATFORMS.values():
        platform: Platform | None = kind.read(text)
        if platform is not None:
            return platform
    forms = ", ".join(kind.form for kind in PLATFORMS.values())
    raise DeclarationProblem(
        f"There is no platform '{text}'.", nearest=nearest(text.partition(":")[0].partition("[")[0], list(PLATFORMS)), fix=f"Write one of: {forms}."
    )  # fmt: skip


def _fault(name: str) -> Fault:
    if name not in FAULTS:
        raise DeclarationProblem(
            f"There is no fault '{name}'.", nearest=nearest(name, list(FAULTS)), fix=f"Choose from {', '.join(FAULTS)}."
        )
    fault: Fault = FAULTS[name]
    return fault


def _check_stays_at_home(product: Product) -> None:
    """Raise where the work would act outside of its home.

    Raises
    ------
    DeclarationProblem : it would send rows, publish to a warehouse or alert somebody
    """
    acts = [f"sends rows to '{name}'" for name in product.outlets]
    acts += [
        f"publishes '{name}' to a warehouse of its own"
        for name, each in product.publications.items()
        if each.to.address is not None
    ]
    acts += ["alerts somebody"] * bool(product.alerts)
    if acts:
        raise DeclarationProblem(
            f"Product '{product.name}' {', '.join(acts)}, and each repetition would.",
            fix="Compare a product without that; or add --send, if each repetition may.",
            where=str(product.where),
        )


def _workload(product: Product) -> Workload:
    return "stream" if declarations_of_kind(product, "stream source") else "run"


def _messages(
    folder: Path, product: Product, settings: Settings, options: CompareOptions, place: Path, say: Callable[[str], None]
) -> Mapping[float, Path]:  # fmt: skip
    """Return the folder of messages for each share of the data: those of the home, or else simulated ones."""
    logs = [source for source in product.sources.values() if source.connection.kind == "stream"]
    if not logs:
        sockets = [source.name for source in product.sources.values() if source.connection.kind == "socket"]
        if sockets:
            raise DeclarationProblem(
                f"Source '{sockets[0]}' is a socket, whose messages cannot be read again for each platform.",
                fix="Compare the product with a log or a topic as its source.",
            )
        return {}
    streams = settings.home / "streams" / product.name
    if any((streams / source.name).is_dir() for source in logs):
        if options.shares:
            raise DeclarationProblem("--share divides simulated messages, and the home holds real ones.", fix="Leave --share out.")
        take_messages(streams, place / "messages")
        return {1.0: place / "messages"}
    messages = {}
    for share in sorted({1.0, *options.shares}):
        home = place / f"simulated-{share:g}"
        seconds = options.seconds * share
        say(f"{product.name}: {seconds:g} s of {options.devices} devices are simulated")
        run_replay(
            str(folder), replace(settings, home=home), into=None, to=None, rate=0.0, seconds=seconds, speed=1.0, devices=options.devices, wire=None,
            labels=False, source_name=None, seed=options.seed, at=_AT, say=lambda _: None,
        )  # fmt: skip
        messages[share] = place / f"messages-{share:g}"
        take_messages(home / "streams" / product.name, messages[share])
        shutil.rmtree(home)
    return messages


def _sources(product: Product, settings: Settings, workload: Workload, messages: Mapping[float, Path]) -> list[ComparedSource]:
    """Return what is known of the sources before the work: files and bytes of those on this machine."""
    sources: list[ComparedSource] = []
    for source in product.sources.values():
        files: list[Path] = []
        if workload == "stream" and 1.0 in messages:
            files = [file for file in (messages[1.0] / source.name).rglob("*") if file.is_file()]
        elif isinstance(pattern := getattr(source.connection, "pattern", None), str) and "://" not in pattern:
            files = [file for file in (settings.data or Path.cwd()).glob(pattern) if file.is_file()]
        sources.append({
            "source": source.name, "kind": source.connection.kind, "files": len(files) or None,
            "bytes": sum(file.stat().st_size for file in files) or None, "rows": None,
        })  # fmt: skip
    return sources


def _prices(file: Path | None) -> Mapping[str, float]:
    if file is None:
        return {}
    try:
        prices = json.loads(file.read_text())
        return {str(name): float(price) for name, price in prices.items()}
    except OSError as error:
        raise NotThere(f"The file of prices '{file}' cannot be read: {error.strerror}.") from None
    except (ValueError, AttributeError, TypeError):
        raise DeclarationProblem(
            f"'{file}' is no file of prices.", fix='Write the price of an hour of a core by platform, {"local[2]": 0.04}.'
        ) from None
