"""Register the lake's tables with a Hive metastore, as external Delta tables: Spark and Trino then find them by name.

Readers take the rows from the table's own log, so the metastore is updated only when columns change, not with each new version.
Spark's jars include the metastore's client; it is called in Spark's Java process.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from caudal.errors import EnvironmentProblem, StepFailed

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject, JavaPackage, JVMView

_CALL_S = 20  # until a metastore that does not answer counts as down
_MARK = "caudal.product"


@dataclass(frozen=True)
class MetastoreTable:
    """A table as it is registered with a metastore.

    Parameters
    ----------
    columns : name and Hive's type, in order
    comments : the columns' comments
    """

    product: str
    table: str
    location: str
    columns: tuple[tuple[str, str], ...]
    comment: str | None = None
    comments: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, str]:
        """Database and table; a metastore has lower-case names only."""
        return self.product.lower(), self.table.lower()


def hive_type(spark: str) -> str:
    """Return Hive's type for a Spark type, as its ``simpleString`` writes it.

    Examples
    --------
    >>> hive_type("array<struct<at:timestamp_ntz,n:bigint>>")
    'array<struct<at:timestamp,n:bigint>>'
    """
    return re.sub(r"\btimestamp_(ntz|ltz)\b", "timestamp", spark)


def register_in_metastore(jvm: JVMView, uri: str, entry: MetastoreTable) -> bool:
    """Register a table with a metastore; return whether anything had to be changed.

    Raises
    ------
    EnvironmentProblem : the metastore does not answer
    StepFailed : the metastore has a table of that name that caudal has not made, or refused this one
    """
    from py4j.protocol import Py4JJavaError  # of the extra [spark]

    client = None
    try:
        client = _client(jvm, uri)
        return _register(jvm, client, entry)
    except Py4JJavaError as error:
        message = str(error.java_exception.toString()).splitlines()[0]
        if "TTransportException" in message or "Could not connect" in message:
            raise EnvironmentProblem(
                f"The metastore {uri} does not answer: {message[:300]}.",
                fix="Run again when it does; the tables themselves are published.",
            ) from None
        raise StepFailed(f"The metastore {uri} refused '{'.'.join(entry.names)}': {message[:300]}.", table=entry.table) from None
    finally:
        if client is not None:
            client.close()


def _client(jvm: JVMView, uri: str) -> JavaObject:
    conf = jvm.org.apache.hadoop.hive.conf.HiveConf()
    for name, value in {
        "hive.metastore.uris": uri, "hive.metastore.connect.retries": "1", "hive.metastore.failure.retries": "0",
        "hive.metastore.client.socket.timeout": f"{_CALL_S}s", "hive.metastore.schema.verification": "false",
    }.items():  # fmt: skip
        conf.set(name, value)
    return jvm.org.apache.hadoop.hive.metastore.HiveMetaStoreClient(conf)


def _register(jvm: JVMView, client: JavaObject, entry: MetastoreTable) -> bool:
    api = jvm.org.apache.hadoop.hive.metastore.api
    database, name = entry.names
    if database not in list(client.getAllDatabases()):
        client.createDatabase(
            api.Database(database, f"Product {entry.product}.", entry.location.rpartition("/")[0], jvm.java.util.HashMap())
        )
    if not client.tableExists(database, name):
        client.createTable(_table(jvm, api, entry))
        return True
    existing = client.getTable(database, name)
    parameters = dict(existing.getParameters())
    if parameters.get(_MARK) != entry.product:
        raise StepFailed(
            f"The metastore has a table '{database}.{name}' that product '{entry.product}' has not made.",
            fix="Take it away there, or call the product or the table otherwise.",
            table=entry.table,
        )
    columns = [(column.getName(), column.getType(), column.getComment()) for column in existing.getSd().getCols()]
    registered = (columns, _place(existing.getSd().getLocation()), parameters.get("comment"))
    if registered == (
        [(column_name.lower(), kind, entry.comments.get(column_name)) for column_name, kind in entry.columns],
        _place(entry.location),
        entry.comment,
    ):
        return False
    client.alter_table(database, name, _table(jvm, api, entry))
    return True


def _place(location: str) -> str:
    """Return a location in a comparable form: Hadoop writes ``file:/`` where others write ``file:///``."""
    return re.sub("^file:/+", "file:/", location)


def _table(jvm: JVMView, api: JavaPackage, entry: MetastoreTable) -> JavaObject:
    columns = jvm.java.util.ArrayList()
    for name, kind in entry.columns:
        columns.add(api.FieldSchema(name.lower(), kind, entry.comments.get(name)))
    path = jvm.java.util.HashMap()
    path.put("path", entry.location)
    path.put("serialization.format", "1")
    # Spark itself writes these for a table whose provider is not Hive, so that Hive does not read the folder as plain Parquet.
    formats = ("org.apache.hadoop.mapred.SequenceFileInputFormat", "org.apache.hadoop.hive.ql.io.HiveSequenceFileOutputFormat")
    serde = api.SerDeInfo(None, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe", path)
    storage = api.StorageDescriptor()
    storage.setCols(columns)
    storage.setLocation(entry.location)
    storage.setInputFormat(formats[0])
    storage.setOutputFormat(formats[1])
    storage.setSerdeInfo(serde)
    storage.setParameters(jvm.java.util.HashMap())
    storage.setBucketCols(jvm.java.util.ArrayList())
    storage.setSortCols(jvm.java.util.ArrayList())
    storage.setNumBuckets(-1)
    table = api.Table()
    table.setDbName(entry.names[0])
    table.setTableName(entry.names[1])
    table.setOwner("caudal")
    table.setSd(storage)
    table.setPartitionKeys(jvm.java.util.ArrayList())
    table.setTableType("EXTERNAL_TABLE")
    properties = {"EXTERNAL": "TRUE", "spark.sql.sources.provider": "delta", _MARK: entry.product, "comment": entry.comment}
    parameters = jvm.java.util.HashMap()
    for name, value in properties.items():
        if value is not None:
            parameters.put(name, value)
    table.setParameters(parameters)
    return table
