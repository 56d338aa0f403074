"""What the stages ask of an engine beyond rows in, rows out; an engine that lacks one of these says why (`Engine.lacks`)."""

from __future__ import annotations

from enum import StrEnum


class Capability(StrEnum):
    """Something that not every engine can do; its value names it in sentences."""

    OBSERVE = "counting rows while they are written"
    FILE_NAMES = "the name of the file that a row was read from"
    CORRUPT_RECORDS = "reading text so that lines that are no records are kept"
    TEXT_PARSING = "converting any text to its type as Spark does"
    TO_JSON = "writing values as JSON as Spark does"
    METADATA = "handing the metadata of columns on as Spark does"
    JSON_SCHEMA = "a schema given as Spark's JSON"
    LITERAL_PATHS = "paths that are taken literally, whatever characters they hold"
    PARQUET_WRITER = "writing Parquet with checksums of its pages and a folder for nulls"
    PARQUET_TYPES = "reading Parquet by its own types where Arrow has noted others"
    PAGE_CHECKSUMS = "comparing the checksums of Parquet's pages when they are read"
    TEMPORARY_VIEWS = "a query over views that are dropped before it is computed"
    SHARED_VARIABLES = "broadcast variables and accumulators"
    CANCELLING = "cancelling a step's queries"
    ANALYSED_PLAN = "the analysed plan of a frame"
    RDD = "RDDs and the Spark context"
    SPARK_ML = "Spark ML"
    CONNECTORS = "Java connectors (Kafka, JDBC, Avro, S3A, HDFS)"
    HADOOP_SETTINGS = "settings of Hadoop, with the credentials of remote storage"
    STREAMING = "streams"
    LOCAL_FILES = "files of this machine"
    LOCAL_WORKERS = "Python functions that run on this machine, with caudal installed"
