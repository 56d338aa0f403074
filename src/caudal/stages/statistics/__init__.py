"""Statistics of a stream's channels: samples become partials, which add up in any order, and these become rows of windows."""

from caudal.stages.statistics.finish import quantile_name, window_rows, window_schema, windows
from caudal.stages.statistics.merge import merge_partials
from caudal.stages.statistics.partial import Partials, partials
from caudal.stages.statistics.samples import Samples, of_blocks, of_table
from caudal.stages.statistics.state import (
    NEVER,
    Bounds,
    State,
    TakenSamples,
    advance,
    bounds_after,
    end_stream,
    have_common_samples,
    new_state,
    take_samples,
)

__all__ = [
    "NEVER",
    "Bounds",
    "Partials",
    "Samples",
    "State",
    "TakenSamples",
    "advance",
    "bounds_after",
    "end_stream",
    "have_common_samples",
    "merge_partials",
    "new_state",
    "of_blocks",
    "of_table",
    "partials",
    "quantile_name",
    "take_samples",
    "window_rows",
    "window_schema",
    "windows",
]  # fmt: skip
