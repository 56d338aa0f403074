"""Features: columns computed from what was known at a row's time. One kind a file; importing the folder registers them all."""

from caudal.stages.features.as_of import as_of_join
from caudal.stages.features.calendar import calendar
from caudal.stages.features.lag import lag
from caudal.stages.features.past_mean import past_mean
from caudal.stages.features.registered import FEATURES, feature
from caudal.stages.features.rolling import rolling

__all__ = ["FEATURES", "as_of_join", "calendar", "feature", "lag", "past_mean", "rolling"]
