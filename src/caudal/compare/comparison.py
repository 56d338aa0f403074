"""A comparison as it goes on: each platform is started, the work repeated there in shuffled order, broken, and written down at once."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare import claims
from caudal.compare.attempt import WorkOrder
from caudal.compare.broken_work import break_work
from caudal.compare.conclusions import draw_conclusions
from caudal.compare.diagram import with_executors
from caudal.compare.event_log import EventLog, read_event_log
from caudal.compare.fault import Fault
from caudal.compare.log_totals import different_settings, masked_environment, stage_document
from caudal.compare.platform import Platform, RunningPlatform
from caudal.compare.published import against_truth, compare_tables, distinct_tables
from caudal.compare.scaling import fit_scaling
from caudal.compare.work import MeasuredRepetition, PlannedRepetition, measures, repeat
from caudal.declarations.settings import Settings
from caudal.engine.cache import put_file
from caudal.engine.session import archive_classes
from caudal.errors import CaudalError

if TYPE_CHECKING:
    from caudal.report.documents.comparison import (
        CompareDocument,
        ComparedSource,
        ComparedTable,
        EnvironmentDifferences,
        InjectedFaultDocument,
        PlatformDocument,
        RepetitionDocument,
        Spread,
    )

DOCUMENT = "comparison.json"


@dataclass(frozen=True)
class ComparisonRequest:
    """What is compared.

    Parameters
    ----------
    platforms : in the order in which they are shown
    folder : keeps all that is measured
    messages : by share of the data, the logs that the work reads, one folder a source; empty where it reads none
    repeats, warm_ups : times that the work is done on each platform for its figures, and before them
    limit_s : seconds until work that does not end is stopped
    seed : of the order of the repetitions
    price : of an hour of a core, by platform; in any currency
    keeps_tables : whether each table stays in as many versions as repetitions gave, since platforms are added later or elsewhere
    """

    product: str
    order: WorkOrder
    platforms: Sequence[Platform]
    faults: Sequence[Fault]
    folder: Path
    settings: Settings
    messages: Mapping[float, Path] = field(default_factory=dict)
    sources: Sequence[ComparedSource] = ()
    machine: Mapping[str, str] = field(default_factory=dict)
    repeats: int = 3
    warm_ups: int = 1
    limit_s: float = 900.0
    seed: int = 0
    price: Mapping[str, float] = field(default_factory=dict)
    keeps_tables: bool = False


@dataclass
class PlatformWork:
    """A platform with what was done there so far; ``document`` is that of a platform which was measured before, or elsewhere."""

    platform: Platform
    running: RunningPlatform | None = None
    state: str = "measured"
    why: str | None = None
    done: list[MeasuredRepetition] = field(default_factory=list)
    homes: list[Path] = field(default_factory=list)
    """Of the whole work, warm-ups included; what they hold is the same."""
    document: PlatformDocument | None = None

    @property
    def measured(self) -> bool:
        return self.state == "measured"


class PlatformComparison:
    """Does what a request asks for; the document on disk always says what was measured so far."""

    def __init__(self, request: ComparisonRequest, say: Callable[[str], None]) -> None:
        self._request, self._say = request, say
        self._began = time.time()
        self._works = [PlatformWork(platform) for platform in request.platforms]
        self._faults: list[InjectedFaultDocument] = []
        self._rows: dict[float, tuple[str, int]] = {}
        self._number = 0
        self._chance = random.Random(request.seed)
        self._stopped_by: str | None = None
        self._complete = False
        self._took_s: float | None = None

    def run(self) -> CompareDocument:
        """Do all of it; Ctrl-C and SIGTERM end it and what it has started, and what was measured is kept."""
        before = signal.signal(signal.SIGTERM, _interrupt) if threading.current_thread() is threading.main_thread() else None
        try:
            with contextlib.ExitStack() as started:
                for work in self._works:
                    self._start(work, started)
                self._repeat()
                for fault in self._request.faults:
                    for work in self._works:
                        self._break(fault, work)
            self._complete = True
        except KeyboardInterrupt:
            self._stopped_by = "a signal"
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)
        document = self._written()
        self._remove_homes()
        return document

    def resume(
        self, before: CompareDocument, works: Sequence[PlatformWork], faults: Sequence[InjectedFaultDocument]
    ) -> CompareDocument:
        """Write and return the document of a comparison to which works are added: compared and concluded from as if all were done here.

        Parameters
        ----------
        works : of all platforms in their order, each with its document
        """
        self._works, self._faults = list(works), list(faults)
        self._began, self._took_s = before["at"], before["took_s"]
        self._complete, self._stopped_by = before["complete"], before["stopped_by"]
        for work in self._works:
            for each in work.done:
                self._check_rows(each.document, work.platform)
                if work.document is not None and work.measured and each.document["state"] != "done":
                    work.state = work.document["state"] = "failed"
                    work.why = work.document["why"] = each.document["why"]
            if (typical := _typical(work)) is not None and (log := typical.document["event_log"]) is not None:
                with contextlib.suppress(CaudalError):  # one that is gone says no settings
                    typical.log = read_event_log(Path(log))
        return self._written()

    def _start(self, work: PlatformWork, started: contextlib.ExitStack) -> None:
        platform = work.platform
        if self._request.order.workload not in platform.workloads:
            able = "streams" if self._request.order.workload == "run" else "runs"
            work.state, work.why = "refused", f"{_capital(platform.title)} does {able} only."
            return
        if platform.awaits:
            work.state, work.why = "awaited", platform.awaits
            return
        self._say(f"{platform.text}: {platform.title}")
        if platform.is_cluster:  # what it starts maps the archive from its beginning
            archive_classes(self._say, on_cluster=True)
        try:
            work.running = started.enter_context(
                platform.started(self._request.folder / place_name(platform.text) / "platform", self._request.settings)
            )
            work.platform = work.running.platform  # which may know more of itself once it runs
        except CaudalError as error:
            work.state, work.why = "unreachable", f"{error.what} {error.fix}" if platform.is_service else error.what
            self._say(f"{platform.text}: {work.why}")
            return
        if platform.writes_event_log and not platform.is_cluster:
            archive_classes(self._say)

    def _repeat(self) -> None:
        """Do the work on each platform in turn, each time in another order, so that what the machine does meanwhile strikes all alike."""
        rounds = [(1.0, True)] * self._request.warm_ups + [(1.0, False)] * self._request.repeats
        rounds += [(share, False) for share in sorted(self._request.messages) if share != 1.0]
        for share, warm_up in rounds:
            works = [work for work in self._works if work.measured and work.running is not None]
            self._chance.shuffle(works)
            for work in works:
                self._once(work, share, warm_up)

    def _once(self, work: PlatformWork, share: float, warm_up: bool) -> None:
        assert work.running is not None
        planned = self._planned(work.platform, share, warm_up)
        measured = repeat(planned, work.running)
        repetition = measured.document
        self._check_rows(repetition, work.platform)
        if repetition["state"] == "done" and share == 1.0:
            work.homes.append(planned.home)  # first, since a signal may come between: what is done has its home
        work.done.append(measured)
        if repetition["state"] != "done":
            work.state, work.why = "failed", repetition["why"]
            self._say(f"{work.platform.text}: {repetition['why']}")
        else:
            seconds = "" if repetition["work_s"] is None else f"{repetition['work_s']:.2f} s of work, "
            what = "warm-up" if warm_up else "repetition" if share == 1.0 else f"{share:.0%} of the data"
            self._say(f"{work.platform.text}: {what} {seconds}{repetition['total_s']:.2f} s in all")
        self._written()

    def _check_rows(self, repetition: RepetitionDocument, platform: Platform) -> None:
        """Let a repetition that read other rows than the first one of its size fail: the work was not the same."""
        if repetition["state"] != "done" or repetition["rows"] is None:
            return
        first, rows = self._rows.setdefault(repetition["share"], (platform.text, repetition["rows"]))
        if rows != repetition["rows"]:
            repetition["state"] = "failed"
            repetition["why"] = (
                f"It read {repetition['rows']:,} rows, and '{first}' had read {rows:,}: the sources have changed meanwhile."
            )

    def _planned(self, platform: Platform, share: float, warm_up: bool) -> PlannedRepetition:
        self._number += 1
        place = self._request.folder / place_name(platform.text) / f"{self._number:03d}"
        place.mkdir(parents=True)
        request = self._request
        return PlannedRepetition(
            request.order, request.product, request.messages.get(share), place, self._number, warm_up, request.limit_s, share
        )

    def _break(self, fault: Fault, work: PlatformWork) -> None:
        if work.state == "awaited":  # it is broken where its work is done
            return
        platform, running, undisturbed = work.platform, work.running, self._undisturbed(work)
        if running is None or not work.measured or undisturbed is None:
            self._faults.append(_not_applicable(fault, platform, "It was not measured there."))
            return
        refused = fault.refuses(platform, self._request.order.workload)
        if platform.is_service:
            refused = f"what does the work is {platform.title}, and not caudal's to break"
        if refused is not None:
            self._faults.append(_not_applicable(fault, platform, f"{_capital(refused)}."))
            return
        self._say(f"{platform.text}: {fault.name}: {fault.about}")
        try:
            outcome = break_work(
                self._planned(platform, 1.0, False), running, fault, undisturbed, lambda home: against_truth(work.homes, home)
            )
        except (CaudalError, OSError) as error:
            why = error.what if isinstance(error, CaudalError) else f"It could not be made to happen: {error}."
            self._faults.append(_not_applicable(fault, platform, why))
            return
        self._faults.append(outcome.document(fault, platform, undisturbed))
        self._written()

    def _undisturbed(self, work: PlatformWork) -> float | None:
        typical = _typical(work)
        return None if typical is None else typical.document["work_s"]

    def _written(self) -> CompareDocument:
        """Write the document as it stands, and return it."""
        document = self._document()
        put_file(self._request.folder / DOCUMENT, json.dumps(document, indent=1, ensure_ascii=False).encode())
        return document

    def _document(self) -> CompareDocument:
        request = self._request
        platforms = [self._platform_document(work) for work in self._works]
        finished = self._complete or self._stopped_by is not None
        tables = self._compared_tables() if finished else []
        document: CompareDocument = {
            "product": request.product, "workload": request.order.workload, "at": self._began,
            "took_s": round(time.time() - self._began, 3) if self._took_s is None else self._took_s, "complete": self._complete, "stopped_by": self._stopped_by, "folder": str(request.folder), "seed": request.seed,
            "repeats": request.repeats, "warm_ups": request.warm_ups, "machine": dict(request.machine), "sources": list(request.sources),
            "platforms": platforms, "pairs": claims.compare_pairs(platforms), "tables": tables, "faults": self._faults,
            "differences": self._differences(), "scaling": fit_scaling(platforms) if finished else [], "conclusions": [],
        }  # fmt: skip
        if finished:
            document["conclusions"] = draw_conclusions(document)
        return document

    def _compared_tables(self) -> list[ComparedTable]:
        works = [work for work in self._works if work.homes and work.measured]
        return compare_tables(
            {work.platform.text: work.homes for work in works}, {work.platform.text: published_by(work) for work in works}
        )

    def _platform_document(self, work: PlatformWork) -> PlatformDocument:
        if work.document is not None:
            return work.document
        platform, settings = work.platform, self._request.settings
        typical = _typical(work)
        log = typical.log if typical is not None else None
        spark = _part(log, "Spark Properties")
        spreads = claims.spreads([measures(each.document) for each in _counted(work)])
        state, why = work.state, work.why
        if work.measured and typical is None:
            state, why = "failed", "No repetition was finished."
        return {
            "platform": platform.text, "kind": platform.kind, "title": platform.title, "engine": platform.engine if platform.executor != "here" else "here",
            "master": spark.get("spark.master"), "cores": platform.cores, "memory": spark.get("spark.executor.memory") or spark.get("spark.driver.memory"),
            "state": state, "why": why, "missing": list(platform.lacks),
            "diagram": with_executors(platform.diagram(settings), {} if log is None else log.executors, spark.get("spark.executor.memory")),
            "versions": _versions(log), "machine": {}, "environment": {} if log is None else masked_environment(log),
            "repetitions": [each.document for each in work.done], "spreads": spreads,
            "stages": [] if log is None else [stage_document(log.stages[key]) for key in sorted(log.stages)],
            "cost_per_million_rows": _cost(self._request.price.get(platform.text), platform.cores, spreads),
        }  # fmt: skip

    def _differences(self) -> list[EnvironmentDifferences]:
        logs = [
            (work.platform.text, typical.log)
            for work in self._works
            if (typical := _typical(work)) is not None and typical.log is not None
        ]
        return [
            {"platform": name, "other": other, "settings": different_settings(log.environment, another.environment)}
            for place, (name, log) in enumerate(logs)
            for other, another in logs[place + 1 :]
        ]

    def _remove_homes(self) -> None:
        """Keep one home of each platform, for who wants to look, and those that later comparisons need; logs and results stay too."""
        kept = [work.homes[-1] for work in self._works if work.homes]
        if self._request.keeps_tables:
            kept += [home for work in self._works for home in distinct_tables(work.homes, published_by(work))]
        for work in self._works:
            for folder in (self._request.folder / place_name(work.platform.text)).glob("*/home"):
                if folder not in kept:
                    shutil.rmtree(folder, ignore_errors=True)


def published_by(work: PlatformWork) -> list[dict[str, str]]:
    """Return what each repetition of the whole work has published, in the order of its homes."""
    return [each.document["tables"] for each in work.done if each.document["state"] == "done" and each.document["share"] == 1.0]


def _counted(work: PlatformWork) -> list[MeasuredRepetition]:
    """Return the repetitions that figures rest on: done, no warm-up, of the whole data."""
    documents = ((each, each.document) for each in work.done)
    return [
        each for each, document in documents if document["state"] == "done" and not document["warm_up"] and document["share"] == 1.0
    ]


def _typical(work: PlatformWork) -> MeasuredRepetition | None:
    """Return the repetition whose time is the median, the lower one of two."""
    ordered = sorted(_counted(work), key=lambda each: each.document["work_s"] or 0.0)
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _not_applicable(fault: Fault, platform: Platform, why: str) -> InjectedFaultDocument:
    return {
        "fault": fault.name, "platform": platform.text, "state": "not applicable", "why": why, "at_s": None, "work_s": None, "undisturbed_s": None,
        "recovery_s": None, "commands": 0, "recomputed_ms": None, "failed_tasks": None, "resubmitted_stages": None, "executors_lost": None,
        "rows_lost": None, "rows_doubled": None, "timeline": [], "event_logs": [],
    }  # fmt: skip


def _part(log: EventLog | None, name: str) -> Mapping[str, str]:
    return {} if log is None else log.environment.get(name, {})


def _versions(log: EventLog | None) -> dict[str, str]:
    if log is None:
        return {}
    java = log.environment.get("JVM Information", {})
    versions = {"Spark": log.application.get("spark_version"), "Java": java.get("Java Version"), "Scala": java.get("Scala Version")}
    return {name: str(version) for name, version in versions.items() if version}


def _cost(price: float | None, cores: int | None, spreads: Mapping[str, Spread]) -> float | None:
    """Return what a million rows cost: hours of the whole process, times cores, times the price of an hour of a core."""
    if price is None or cores is None or "rows_per_s" not in spreads or "total_s" not in spreads:
        return None
    rows = spreads["rows_per_s"]["median"] * spreads["work_s"]["median"]
    return spreads["total_s"]["median"] / 3600 * cores * price / rows * 1e6 if rows else None


def place_name(platform: str) -> str:
    """Return the name of the folder that a platform has in the comparison's."""
    return "".join(letter if letter.isalnum() else "-" for letter in platform).strip("-")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
