# Written by tools/stubs.py.
# ruff: noqa
# fmt: off

"""caudal: a data product declared once, in Python, from raw data to a served model."""

from caudal.client.folder import open_product as open_product  # Return a product's folder, to be checked, run, previewed and explained from Python.
from caudal.client.inspected import inspect_environment as inspect_environment  # Return what this machine, its cluster and its Spark are, each fact with how it was found out; a notebook show…
from caudal.client.opened import open as open  # Open a home: what products have published in it, as Python objects.
from caudal.declarations.alert import mail as mail  # Return mail to addresses.
from caudal.declarations.alert import webhook as webhook  # Return a webhook.
from caudal.declarations.connection import files as files  # Return a source of files that match ``pattern``.
from caudal.declarations.connection import folder as folder  # Return a source of samples from files dropped in a folder.
from caudal.declarations.connection import http as http  # Return a source of files, or of answers in pages, behind ``urls``.
from caudal.declarations.connection import kafka as kafka  # Return a source of samples from a Kafka topic; of one whose messages are rows, `events`.
from caudal.declarations.connection import simulated as simulated  # Return a source whose raw files the function ``write`` creates.
from caudal.declarations.connection import socket as socket  # Return a source of samples from a TCP server.
from caudal.declarations.connection import stream as stream  # Return a source of samples from the embedded log.
from caudal.declarations.database import database as database  # Return a source of a database's rows; give its ``url``, or the variable that holds it (``env``), and a table …
from caudal.declarations.events import events as events  # Return a source of the messages of a Kafka topic, each a row, with ``kafka_partition, kafka_offset, kafka_tim…
from caudal.declarations.format import fixed_width as fixed_width  # Return the format of lines whose columns are at fixed positions.
from caudal.declarations.holdout import holdout as holdout  # Return a holdout: rows that are never trained on, and used once, to score a version that is promoted.
from caudal.declarations.images import images as images  # Return a source of images, one row each: ``path, label, sha256, bytes, width, height, format, modified_at, co…
from caudal.declarations.images import network as network  # Return a network by its name, or an ONNX model by its path, relative to the file that declares it.
from caudal.declarations.model import hashed as hashed  # Return folds by hash; each tests on a different share ``test`` of the keys.
from caudal.declarations.model import temporal as temporal  # Return folds over time, each length a duration, or over rows in order of time, each length a number of rows.
from caudal.declarations.outlet import drop as drop  # Return a folder as the destination of rows; relative to the data folder (``--data``).
from caudal.declarations.outlet import topic as topic  # Return a Kafka topic as the destination of rows.
from caudal.declarations.product import Product as Product  # A data product: sources, tables, features, models, predictions, each declared by one call.
from caudal.declarations.requests import requests as requests  # Return a source of the requests for predictions that servers of a model have answered; servers log them from …
from caudal.declarations.schema import column as column  # Return a column for ``schema(name=column(...))``.
from caudal.declarations.schema import schema as schema  # Return a schema from names and types.
from caudal.declarations.service_levels import sla as sla  # Return a service level: what is promised of a table, of predictions, of a served model or of a stream.
from caudal.declarations.service_levels import working_hours as working_hours  # Return the time of a week that counts, as ``"Mon-Fri 08:00-18:00, Sat 09:00-13:00"``; without days it is ever…
from caudal.declarations.star import date_dimension as date_dimension  # Return the calendar as a dimension of stars; caudal generates its rows.
from caudal.declarations.star import dimension as dimension  # Return a table as a dimension of stars; see `caudal.declarations.star.Dimension`.
from caudal.declarations.star import fact as fact  # Return a table as facts of a star; see `caudal.declarations.star.Fact`.
from caudal.declarations.statistics import EEG_BANDS as EEG_BANDS
from caudal.declarations.trigger import cron as cron  # Return a schedule by a cron expression: minute, hour, day of the month, month, day of the week (0 and 7 are S…
from caudal.declarations.trigger import every as every  # Return a schedule: ``"midnight"``, ``"noon"``, ``"hour"``, ``"minute"``, or a duration such as ``"15 minutes"…
from caudal.declarations.trigger import on_arrival as on_arrival  # Return a trigger for the arrival of files, or of rows in a database whose source has a watermark.
from caudal.declarations.trigger import on_publish as on_publish  # Return a trigger for publications of another product of the same home.
from caudal.declarations.warehouse import warehouse as warehouse  # Return a PostgreSQL database to publish to: its ``url``, the variable that holds it (``env``), or the setting…
from caudal.declarations.web import env as env  # Return the value of an environment variable, to be looked up when it is needed.
from caudal.declarations.web import pages as pages  # Return how the next page is found: exactly one of four ways.
from caudal.declarations.web import since as since  # Return the request parameter for new records, and the field of a record with its value (the same name unless …
from caudal.declarations.zone import in_zone as in_zone  # Use a zone for windows, fills, lags and calendars in the block, for example in a test of a product's function.
from caudal.errors import CaudalError as CaudalError  # An error with a sentence, a place and a fix.
from caudal.stages.detect.density import density as density  # Return a detector of readings far from every dense cluster of earlier ones; clusters without new readings fad…
from caudal.stages.detect.half_space_trees import half_space_trees as half_space_trees  # Return a detector of readings in parts of space with few earlier readings, by random halvings of the space of…
from caudal.stages.detect.local_outlier import local_outlier as local_outlier  # Return a detector of readings whose surroundings are less dense than those of their nearest neighbours.
from caudal.stages.detect.robust_z import robust_z as robust_z  # Return a detector of values far from the recent median, in units of the median absolute deviation; each chann…
from caudal.stages.detect.surprise import surprise as surprise  # Return a detector for telemetry with a daily rhythm: range, time of day and shape judged together, each again…
from caudal.stages.features.as_of_join import as_of_join as as_of_join  # Return each left row with the columns of the newest right row of the same key known at or before its time.
from caudal.stages.features.calendar import calendar as calendar  # Return the frame with parts of a time as numbers: ``pickup_at_hour``, ``pickup_at_weekday``.
from caudal.stages.features.embed import embed as embed  # Return the images without their bytes, with their features: ``embedding`` (array of float) and ``network``.
from caudal.stages.features.fitted import fitted as fitted  # Return the result of ``fit``: computed anew by each training pipeline that builds the table, otherwise the st…
from caudal.stages.features.lag import lag as lag  # Return the frame with the values of earlier rows: ``pickups_lag_1``, ``pickups_lag_4``, ``pickups_lag_1_day``.
from caudal.stages.features.past_mean import past_mean as past_mean  # Return the frame with the mean of ``column`` over rows of the same ``by`` that happened within ``window`` bef…
from caudal.stages.features.pca import pca as pca  # Return the frame with ``pc_1``, ``pc_2`` … (double) instead of a column of arrays.
from caudal.stages.features.rolling import rolling as rolling  # Return the frame with a statistic over the rows of the same key in the time before each row: ``pickups_mean_2…
from caudal.stages.gates.beats import beats as beats  # Return a gate that passes where the chosen candidate beats a named candidate by at least ``margin`` (a share).
from caudal.stages.gates.beats_baseline import beats_baseline as beats_baseline  # Return a gate that passes where the chosen candidate beats the naive baseline by at least ``margin`` (a share…
from caudal.stages.gates.beats_champion import beats_champion as beats_champion  # Return a gate that passes where the new version is at most ``tolerance`` (a share) worse than the version in …
from caudal.stages.gates.fair import fair as fair  # Return a gate that passes where a fairness metric of the chosen candidate is within a limit, over the test ro…
from caudal.stages.gates.limit import limit as limit  # Return a gate that passes where a metric of the chosen candidate is at most ``limit`` (at least, where higher…
from caudal.stages.gates.parity import parity as parity  # Return a gate that passes where no group's error is more than ``max_ratio`` times another's.
from caudal.stages.gates.trial import trial as trial  # Return a gate that passes where the version has shown in a trial beside the one in production that it may rep…
from caudal.stages.mitigation.group_thresholds import group_thresholds as group_thresholds  # Return a candidate that predicts positive from a threshold of each group on, so that a rate is equal in all g…
from caudal.stages.mitigation.reduction import reduction as reduction  # Return a candidate that mixes classifiers so that a constraint holds with the least loss of accuracy; trainin…
from caudal.stages.mitigation.reweigh import reweigh as reweigh  # Return a candidate whose rows are weighted in training, so that no label is more frequent in one group than i…
from caudal.stages.select.best_mean import best_mean as best_mean  # Return the rule that chooses the candidate with the best mean score over the folds.
from caudal.stages.select.best_worst import best_worst as best_worst  # Return the rule that chooses the candidate whose worst fold is better than the worst fold of every other.
from caudal.stages.select.most_stable import most_stable as most_stable  # Return the rule that chooses, of the candidates whose mean is at most ``within`` (a share) worse than the bes…
from caudal.stages.select.search import search as search  # Return a candidate that tries parameters on folds of its training rows, and is fitted to all of them with the…
from caudal.stages.select.simplest_within import simplest_within as simplest_within  # Return the rule that chooses the simplest candidate whose mean is within some standard errors of the best.
from caudal.stages.select.smallest_regret import smallest_regret as smallest_regret  # Return the rule that chooses the candidate whose greatest distance to the best one of a fold is the least.
from caudal.stages.tables.gaps import fill_gaps as fill_gaps  # Return the frame with a row for every window of a day, for each key seen on that day or for all ``keys``.
from caudal.stages.tables.windows import tumble as tumble  # Return the rows of a frame put into windows that follow one another without overlap and never cross midnight.

__all__ = [
    "CaudalError",
    "EEG_BANDS",
    "Product",
    "as_of_join",
    "beats",
    "beats_baseline",
    "beats_champion",
    "best_mean",
    "best_worst",
    "calendar",
    "column",
    "cron",
    "database",
    "date_dimension",
    "density",
    "dimension",
    "drop",
    "embed",
    "env",
    "events",
    "every",
    "fact",
    "fair",
    "files",
    "fill_gaps",
    "fitted",
    "fixed_width",
    "folder",
    "group_thresholds",
    "half_space_trees",
    "hashed",
    "holdout",
    "http",
    "images",
    "in_zone",
    "inspect_environment",
    "kafka",
    "lag",
    "limit",
    "local_outlier",
    "mail",
    "most_stable",
    "network",
    "on_arrival",
    "on_publish",
    "open",
    "open_product",
    "pages",
    "parity",
    "past_mean",
    "pca",
    "reduction",
    "requests",
    "reweigh",
    "robust_z",
    "rolling",
    "schema",
    "search",
    "simplest_within",
    "simulated",
    "since",
    "sla",
    "smallest_regret",
    "socket",
    "stream",
    "surprise",
    "temporal",
    "topic",
    "trial",
    "tumble",
    "warehouse",
    "webhook",
    "working_hours",
]

__version__: str
