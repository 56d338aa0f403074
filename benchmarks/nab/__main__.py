"""All detectors by NAB's rules: ``python -m benchmarks.nab``.

``--references`` scores published ones too; ``--left-out`` and ``--split`` tell what ``surprise`` is worth on data that it was not chosen on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

import caudal as cd
from benchmarks.nab import left_out, references
from benchmarks.nab.corpus import Stream, streams
from benchmarks.nab.scoring import PROFILES, STANDARD, Outcome, at_threshold, halves, optimised
from caudal.declarations.detector import Detector
from caudal.stages.detect import operator
from caudal.stages.detect.past import Past

DECLARED = (cd.surprise(), cd.robust_z(), cd.half_space_trees(), cd.local_outlier(), cd.density())
REFERENCES: dict[str, Callable[[Stream], np.ndarray]] = {
    "null": references.null,
    "random (seed 0)": lambda stream: references.chance(stream, 0),
    "windowed Gaussian": references.windowed_gaussian,
    "Bayesian changepoint": references.bayesian_changepoint,
    "KNN CAD": references.knn_cad,
}
# What the split check chooses among: everything near the default, one or two parameters moved.
NEARBY = tuple(
    cd.surprise(shape=shape, neighbours=neighbours, excess=excess)
    for shape in (10, 14, 19)
    for neighbours in (3, 10)
    for excess in (0.0, 0.06)
)


def scored(declared: Detector, corpus: Sequence[Stream]) -> tuple[list[np.ndarray], float]:
    """Return the scores of every stream, each by a detector that has seen nothing yet, and the seconds a reading took."""
    began = time.perf_counter()
    scores = [_one(declared, stream) for stream in corpus]
    return scores, (time.perf_counter() - began) / sum(len(stream.values) for stream in corpus)


def _one(declared: Detector, stream: Stream) -> np.ndarray:
    at_work = operator(declared, channels=1)
    rows = stream.values.astype(np.float32)[:, None]
    return np.array([at_work.score(at, row) for at, row in zip(stream.at_us.tolist(), rows, strict=True)])


def ranked(scores: np.ndarray, memory: int = 4096, quiet: int = 120) -> np.ndarray:
    """Return scores ranked among those before them and reported once for a while, as ``surprise`` does with its own."""
    past = Past(memory)
    strength = np.array([past.strength(score, 0.06) for score in scores.tolist()])
    highest = [0.0] + [float(strength[max(0, i - quiet) : i].max()) for i in range(1, len(strength))]
    return np.where(strength > np.array(highest), strength, 0.0)


def line(name: str, outcomes: Sequence[Outcome], seconds: float | None = None) -> str:
    """Return one row of the table."""
    first = outcomes[0]
    cost = f"{seconds * 1e6:7.0f} µs" if seconds else " " * 10
    figures = "  ".join(f"{outcome.score:6.2f}" for outcome in outcomes)
    return f"{name:34}  {figures}   {first.found:3d} of {first.windows}  {first.false_alarms:5d}  {cost}"


def split(corpus: Sequence[Stream]) -> dict[str, float]:
    """Choose a configuration and its threshold on one half of the streams, score them on the other, both ways; return what came out."""
    parts = halves(corpus)
    tried = [(declared, scored(declared, corpus)[0]) for declared in NEARBY]
    told: dict[str, float] = {}
    raw = 0.0
    for number, (chosen_on, scored_on) in enumerate((parts, parts[::-1]), start=1):

        def half(scores: list[np.ndarray], which: list[int]) -> tuple[list[Stream], list[np.ndarray]]:
            return [corpus[i] for i in which], [scores[i] for i in which]

        best, scores = max(tried, key=lambda one: optimised(*half(one[1], chosen_on), STANDARD).score)
        chosen = optimised(*half(scores, chosen_on), STANDARD)
        unseen = at_threshold(*half(scores, scored_on), STANDARD, chosen.threshold)
        raw += unseen.raw
        print(
            f"chosen on half {number}: {best.name}, {chosen.score:.2f} there, {unseen.score:.2f} on the other half at the same threshold"
        )
        told[f"half {number} to other"] = unseen.score
    windows = sum(len(stream.windows) for stream in corpus)
    told["whole corpus, each half by the other's choice"] = 100 * (raw + windows) / (2 * windows)
    spread = [optimised(corpus, scores, STANDARD).score for _, scores in tried]
    told["lowest of all tried"], told["highest of all tried"] = min(spread), max(spread)
    return told


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--references", action="store_true", help="also score detectors whose scores are published")
    parser.add_argument("--split", action="store_true", help="choose on half of the streams, score on the other half")
    parser.add_argument(
        "--left-out", action="store_true", help="leave a category out, choose on the others, score on it; nothing else"
    )
    parser.add_argument("--only", help="one kind of detector")
    parser.add_argument("--json", type=Path, help="file for the figures")
    told = parser.parse_args()
    corpus = streams()
    readings, windows = sum(len(stream.values) for stream in corpus), sum(len(stream.windows) for stream in corpus)
    print(f"{len(corpus)} streams, {readings} readings, {windows} windows")
    if told.left_out:
        shown = left_out.compare(corpus, left_out.bare(corpus))
        if told.json:
            told.json.write_text(json.dumps(shown, indent=1))
        return
    print(f"{'':34}  standard  low FP  low FN   found   false alarms   a reading")
    figures: dict[str, object] = {}

    def show(name: str, scores: Sequence[np.ndarray], seconds: float | None = None) -> None:
        outcomes = [optimised(corpus, scores, profile) for profile in PROFILES]
        print(line(name, outcomes, seconds), flush=True)
        figures[name] = {profile.name: asdict(outcome) for profile, outcome in zip(PROFILES, outcomes, strict=True)}

    for declared in DECLARED:
        if told.only in (None, declared.kind):
            scores, seconds = scored(declared, corpus)
            show(declared.kind, scores, seconds)
            if declared.kind != "surprise":
                show(f"{declared.kind}, ranked", [ranked(one) for one in scores])
    if told.references:
        for name, reference in REFERENCES.items():
            show(name, [reference(stream) for stream in corpus])
    if told.split:
        figures["split"] = split(corpus)
        print(json.dumps(figures["split"], indent=1))
    if told.json:
        told.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
