"""Features: columns computed from values known at a row's time. One kind a file, named after it and marked with ``@feature``."""

from caudal.stages.features.as_of_join import as_of_join
from caudal.stages.features.calendar import calendar
from caudal.stages.features.lag import lag
from caudal.stages.features.past_mean import past_mean
from caudal.stages.features.rolling import rolling

__all__ = ["as_of_join", "calendar", "lag", "past_mean", "rolling"]
