"""What the figures of a comparison say, as keys and figures; ``report/words`` has the sentences. Thresholds: docs/compare.md."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, permutations
from typing import TYPE_CHECKING

from caudal.compare.scaling import best_cores
from caudal.compare.stage_conclusions import stage_conclusions
from caudal.compare.stage_shares import median_repetition, without_stage_s

if TYPE_CHECKING:
    from caudal.report.documents.comparison import CompareDocument, ConclusionDocument, PairDocument, PlatformDocument

SHOWN, LIKELY, OPEN = "shown", "likely", "open"
MUCH_DRIVER, MUCH_START = 0.3, 0.5
"""The shares of the work without a stage, and of the process for its start, from which on they are named."""
GOOD_ERROR, POOR_ERROR = 0.1, 0.25
"""A model's error on held-out points up to which it is trusted, and from which on it is not."""


def draw_conclusions(document: CompareDocument) -> list[ConclusionDocument]:
    """Return what can be said, the most important first; each rests on figures of the document.

    ``scaling`` must have been fitted before, if it is to be among the conclusions.
    """
    measured = [platform for platform in document["platforms"] if platform["state"] == "measured"]
    conclusions = [*_fastest(document, measured), *_start(document, measured), *_tables(document), *_faults(document)]
    for platform in measured:
        conclusions += [*_driver(platform), *stage_conclusions(platform)]
    conclusions += [*_scaling(document), *_costs(measured), *_latencies(measured), *_unmeasured(document)]
    return conclusions or [conclusion("nothing", None, OPEN)]


def conclusion(key: str, of: str | None, certainty: str, /, **figures: str | float | int | None) -> ConclusionDocument:
    """Return a conclusion."""
    return {"key": key, "platform": of, "figures": figures, "certainty": certainty}


def _directed(document: CompareDocument, measure: str) -> dict[tuple[str, str], PairDocument]:
    """Return the pairs of a measure in both directions."""
    pairs: dict[tuple[str, str], PairDocument] = {}
    for pair in document["pairs"]:
        if pair["measure"] == measure:
            pairs[pair["platform"], pair["beside"]] = pair
            turned: PairDocument = {
                **pair, "platform": pair["beside"], "beside": pair["platform"], "ratio": 1 / pair["ratio"] if pair["ratio"] else float("inf"),
                "low": 1 / pair["high"] if pair["high"] else None, "high": 1 / pair["low"] if pair["low"] else None,
            }  # fmt: skip
            pairs.setdefault((pair["beside"], pair["platform"]), turned)
    return pairs


def _is_faster(pair: PairDocument | None) -> bool:
    return pair is not None and pair["high"] is not None and pair["high"] < 1


def _fastest(document: CompareDocument, measured: list[PlatformDocument]) -> Iterator[ConclusionDocument]:
    names = [platform["platform"] for platform in measured]
    if len(names) < 2:
        return
    for measure in ("work_s", "total_s"):
        pairs = _directed(document, measure)
        if not pairs:
            continue
        if all(pair["low"] is None or pair["high"] is None for pair in pairs.values()):
            yield conclusion("too_few_repetitions", None, OPEN, measure=measure, repeats=document["repeats"])
            continue
        winner = next(
            (name for name in names if all(_is_faster(pairs.get((name, other))) for other in names if other != name)), None
        )
        if winner is not None and len(names) > 2:
            yield conclusion("fastest", winner, SHOWN, measure=measure, platform=winner, others=len(names) - 1)
        elif winner is None and len(names) > 2:
            yield conclusion("no_fastest", None, OPEN, measure=measure)
        for name, other in combinations(names, 2):
            pair = pairs.get((name, other))
            if pair is None or pair["low"] is None or pair["high"] is None:
                continue
            if pair["ratio"] > 1:
                pair = pairs[other, name]
            key = "faster" if _is_faster(pair) else "no_difference"
            yield conclusion(
                key, pair["platform"], SHOWN if key == "faster" else OPEN, measure=measure, platform=pair["platform"], beside=pair["beside"],
                ratio=pair["ratio"], low=pair["low"], high=pair["high"], confidence_share=pair["confidence"],
            )  # fmt: skip


def _start(document: CompareDocument, measured: list[PlatformDocument]) -> Iterator[ConclusionDocument]:
    """Say where most of the time is the start, and from what size on a platform that starts more slowly pays."""
    medians = {
        platform["platform"]: tuple(platform["spreads"][name]["median"] for name in ("start_s", "work_s"))
        for platform in measured
        if {"start_s", "work_s"} <= platform["spreads"].keys()
    }
    for name, (start_s, work_s) in medians.items():
        if start_s + work_s and start_s / (start_s + work_s) >= MUCH_START:
            yield conclusion(
                "mostly_start", name, SHOWN, platform=name, start_s=start_s, work_s=work_s, start_share=start_s / (start_s + work_s)
            )
    pairs = _directed(document, "work_s")
    for name, other in permutations(medians, 2):
        (start_s, work_s), (other_start_s, other_work_s) = medians[name], medians[other]
        if start_s > other_start_s and work_s < other_work_s and _is_faster(pairs.get((name, other))):
            times = (start_s - other_start_s) / (other_work_s - work_s)
            yield conclusion(
                "pays", name, LIKELY, platform=name, beside=other, times=times, start_s=start_s, beside_start_s=other_start_s, work_s=work_s, beside_work_s=other_work_s
            )  # fmt: skip


def _tables(document: CompareDocument) -> Iterator[ConclusionDocument]:
    compared = [table for table in document["tables"] if len(table["rows"]) > 1]
    if compared and all(table["equal"] for table in compared):
        yield conclusion("tables_equal", None, SHOWN, tables=len(compared))
    for table in compared:
        for difference in table["differences"]:
            key = "table_differs" if difference["largest"] is None else "table_differs_by"
            yield conclusion(
                key, difference["platform"], SHOWN, table=table["table"], column=difference["column"], platform=difference["platform"],
                beside=difference["beside"], rows=difference["rows"], largest=difference["largest"],
            )  # fmt: skip


def _faults(document: CompareDocument) -> Iterator[ConclusionDocument]:
    for fault in document["faults"]:
        named = {"fault": fault["fault"], "platform": fault["platform"]}
        if fault["state"] == "not applicable":
            yield conclusion("fault_not_applicable", fault["platform"], OPEN, **named, why=fault["why"])
            continue
        if fault["state"] != "recovered":
            yield conclusion("fault_not_recovered", fault["platform"], SHOWN, **named, why=fault["why"])
        elif fault["recovery_s"] is not None:
            yield conclusion(
                "fault_recovered", fault["platform"], SHOWN, **named, recovery_s=fault["recovery_s"], commands=fault["commands"]
            )
        else:
            yield conclusion("fault_survived", fault["platform"], SHOWN, **named, commands=fault["commands"])
        if fault["work_s"] is not None and fault["undisturbed_s"]:
            # One run beside the median of the others: no interval, so not shown.
            yield conclusion(
                "fault_cost", fault["platform"], LIKELY, **named, work_s=fault["work_s"], undisturbed_s=fault["undisturbed_s"],
                more_share=fault["work_s"] / fault["undisturbed_s"] - 1,
            )  # fmt: skip
        lost, doubled = fault["rows_lost"], fault["rows_doubled"]
        if lost is not None and doubled is not None:
            key = "fault_rows_whole" if lost == doubled == 0 else "fault_rows_wrong"
            yield conclusion(key, fault["platform"], SHOWN, **named, rows_lost=lost, rows_doubled=doubled)


def _driver(platform: PlatformDocument) -> Iterator[ConclusionDocument]:
    """Say how much of the work no stage ran: cores do not shorten it."""
    idle, name = without_stage_s(platform), platform["platform"]
    repetition = median_repetition(platform)
    work_s = None if repetition is None else repetition["work_s"]
    if idle is not None and work_s and idle / work_s >= MUCH_DRIVER:
        yield conclusion("driver", name, SHOWN, platform=name, idle_s=idle, work_s=work_s, idle_share=min(idle / work_s, 1.0))


def _scaling(document: CompareDocument) -> Iterator[ConclusionDocument]:
    for model in document["scaling"]:
        name, error = model["platform"], model["error"]
        if error is None or error > POOR_ERROR:
            yield conclusion("model_poor", name, OPEN, platform=name, law=model["law"], error_share=error)
            continue
        certainty = LIKELY if error <= GOOD_ERROR else OPEN
        yield conclusion("model", name, certainty, platform=name, law=model["law"], error_share=error)
        measured = [point for point in model["points"] if point["work_s"] is not None]
        largest = max(measured, key=lambda point: (point["share"], point["cores"]))
        for point in model["predictions"]:
            if point["cores"] != largest["cores"] and point["cores"] == min(
                each["cores"] for each in model["predictions"] if each["cores"] > largest["cores"]
            ):
                yield conclusion(
                    "more_cores", name, certainty, platform=name, cores=point["cores"], from_cores=largest["cores"], predicted_s=point["predicted_s"],
                    work_s=largest["work_s"], error_share=error,
                )  # fmt: skip
        most = best_cores(model["parameters"])
        if most is not None:
            yield conclusion("cores_harm", name, certainty, platform=name, cores=most, kappa=model["parameters"]["kappa"])


def _costs(measured: list[PlatformDocument]) -> Iterator[ConclusionDocument]:
    costs = {
        platform["platform"]: platform["cost_per_million_rows"]
        for platform in measured
        if platform["cost_per_million_rows"] is not None
    }
    if len(costs) > 1:
        cheapest, dearest = min(costs, key=costs.__getitem__), max(costs, key=costs.__getitem__)
        yield conclusion(
            "cheapest", cheapest, LIKELY, platform=cheapest, cost=costs[cheapest], beside=dearest, beside_cost=costs[dearest]
        )


def _latencies(measured: list[PlatformDocument]) -> Iterator[ConclusionDocument]:
    for platform in measured:
        latencies = [each["latency"] for each in platform["repetitions"] if not each["warm_up"] and each["latency"] is not None]
        if latencies:
            middle = sorted(latencies, key=lambda each: each["p95_ms"])[(len(latencies) - 1) // 2]
            yield conclusion(
                "latency", platform["platform"], SHOWN, platform=platform["platform"], p50_ms=middle["p50_ms"], p95_ms=middle["p95_ms"], batches=middle["batches"]
            )  # fmt: skip


def _unmeasured(document: CompareDocument) -> Iterator[ConclusionDocument]:
    for platform in document["platforms"]:
        if platform["state"] == "awaited":
            yield conclusion("awaited", platform["platform"], OPEN, platform=platform["platform"])
        elif platform["state"] != "measured":
            yield conclusion(
                "not_measured",
                platform["platform"],
                SHOWN,
                platform=platform["platform"],
                state=platform["state"],
                why=platform["why"],
            )
    if not document["complete"]:
        stopped = document["stopped_by"]
        yield conclusion("not_ended", None, OPEN) if stopped is None else conclusion("incomplete", None, OPEN, why=stopped)
