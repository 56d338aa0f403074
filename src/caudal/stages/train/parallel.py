"""Evaluate folds of candidates in parallel processes, within the machine's memory and cores."""

from __future__ import annotations

import os
import sys
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed, parallel_config
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from caudal.engine.settings import usable_cores, usable_memory
from caudal.errors import DeclarationProblem
from caudal.stages.train.scikit import ScikitCandidate

if TYPE_CHECKING:
    import pandas as pd

    from caudal.stages.train.candidates import Candidate

WORKER_BYTES = 400 << 20  # Python with pandas and scikit-learn
COPIES = 4  # of the rows: received, encoded, and what an estimator makes of them
FEW_VALUES = 500_000  # rows times inputs: with so few, threads wait for each other longer than they work
IDLE_S = 2.0  # after which a process without work ends

Task = tuple[str, int]
"""A fold of a candidate: its name, and the fold's number from 1."""


@dataclass(frozen=True)
class Plan:
    """How many fits go on at a time, and how many threads each may use.

    Parameters
    ----------
    jobs : processes; with 1 everything stays in this one
    threads : of each fit, None for no limit
    """

    jobs: int = 1
    threads: int | None = None


def plan_for(asked: int | None, fits: int, frame: pd.DataFrame, inputs: int) -> Plan:
    """Return how fits are spread over the machine.

    Parameters
    ----------
    asked : the number of processes that is asked for; None and 1 train in this process, as do fewer than two fits
    fits : number of fits that may go into processes
    inputs : number of the frame's columns that are inputs

    Raises
    ------
    DeclarationProblem : less than one process is asked for
    """
    if asked is not None and asked < 1:
        raise DeclarationProblem(f"The setting jobs is {asked}.", fix="Give a whole number from 1.")
    if asked is None or asked == 1 or fits < 2:
        return Plan()
    each = WORKER_BYTES + COPIES * int(frame.memory_usage(deep=True).sum())
    jobs = min(asked, fits, max(1, _free_bytes() // each))
    threads = 1 if len(frame) * inputs <= FEW_VALUES else max(1, usable_cores() // jobs)
    return Plan(jobs, threads) if jobs > 1 else Plan()


def evaluate_in_processes(
    plan: Plan, tasks: Sequence[tuple[Task, Candidate]], fit: Callable[..., Any], shared: Mapping[str, object]
) -> Iterator[tuple[Task, Any]]:
    """Yield each task with its outcome, as they are ready; the caller does the tasks that are not yielded.

    A task that cannot be sent to another process is left out, and all that are left where a process dies, for lack of memory for instance.

    Parameters
    ----------
    fit : a function of a module, called with ``shared``, ``candidate`` and ``number``
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool

    calls = [delayed(_work)(os.getpid(), fit, shared, task, candidate) for task, candidate in tasks if is_portable(candidate)]
    try:
        with (
            parallel_config(backend="loky", inner_max_num_threads=plan.threads, idle_worker_timeout=IDLE_S),
            Parallel(n_jobs=plan.jobs, return_as="generator_unordered") as parallel,
        ):
            yield from parallel(calls)
    except (BrokenProcessPool, OSError):
        return


@contextmanager
def limited(plan: Plan) -> Iterator[None]:
    """Limit the threads of fits within this process to those that a fit in another process has, so that both give the same numbers."""
    if plan.threads is None:
        yield
        return
    with threadpool_limits(plan.threads):
        yield


@contextmanager
def one_thread_for_few(values: int) -> Iterator[None]:
    """Let libraries use one thread within the block where there are few values to fit to: the same numbers come on every machine, and sooner.

    How scikit-learn's gradient boosting adds depends on the number of threads.
    """
    if values > FEW_VALUES:
        yield
        return
    with threadpool_limits(1):
        yield


def with_threads(candidate: Candidate, plan: Plan) -> Candidate:
    """Return a candidate whose ``n_jobs``, those of its parts included, do not exceed the threads of a fit."""
    if plan.threads is None or not isinstance(candidate, ScikitCandidate):
        return candidate
    asked = candidate.estimator.get_params(deep=True)
    greater = {
        name: plan.threads
        for name, value in asked.items()
        if name.rpartition("__")[2] == "n_jobs" and isinstance(value, int) and not 0 < value <= plan.threads
    }
    return replace(candidate, estimator=clone(candidate.estimator).set_params(**greater)) if greater else candidate


def is_portable(candidate: Candidate) -> bool:
    """Return whether another process can load a candidate: all its parts are classes and functions of installed packages."""
    if not isinstance(candidate, ScikitCandidate):
        return False
    parts = [candidate.estimator, *_flat(candidate.estimator.get_params(deep=True).values())]
    modules = {getattr(part, "__module__", None) or type(part).__module__ for part in parts}
    return all(_is_installed(name) for name in modules)


def _work(parent: int, fit: Callable[..., Any], shared: Mapping[str, object], task: Task, candidate: Candidate) -> tuple[Task, Any]:
    if os.getpid() != parent:
        _end_with(parent)
    return task, fit(candidate=candidate, number=task[1], **shared)


def _end_with(parent: int) -> None:
    """End this process when the one that started it has ended, a kill included."""
    name = "ends with the run"
    if any(thread.name == name for thread in threading.enumerate()):
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, name=name, daemon=True).start()


def _is_installed(name: str) -> bool:
    if name == "builtins" or (name.partition(".")[0] in ("caudal", *sys.stdlib_module_names) and name != "__main__"):
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and any(Path(file).is_relative_to(sysconfig.get_path(place)) for place in ("purelib", "platlib"))


def _flat(values: Any) -> Iterator[object]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        elif isinstance(value, dict):
            yield from _flat(value.values())
        else:
            yield value


def _free_bytes() -> int:
    """Return the memory that is free or can be made free at once; where the system does not say, half of all."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return min(usable_memory(), next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")))
    except (OSError, StopIteration):
        return usable_memory() // 2
