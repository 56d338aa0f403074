"""Statistics of a stream's channels: samples → partials, which add up in any order → rows of windows."""

from caudal.stages.statistics.finish import quantile_name, rows, schema, windows
from caudal.stages.statistics.merge import merged
from caudal.stages.statistics.partial import Partials, partials
from caudal.stages.statistics.samples import Samples, of_blocks, of_table
from caudal.stages.statistics.state import NEVER, Bounds, State, Taken, advanced, begin, ended, taken, told_twice

__all__ = [
    "NEVER", "Bounds", "Partials", "Samples", "State", "Taken", "advanced", "begin", "ended", "merged", "of_blocks", "of_table", "partials",
    "quantile_name", "rows", "schema", "taken", "told_twice", "windows",
]  # fmt: skip
