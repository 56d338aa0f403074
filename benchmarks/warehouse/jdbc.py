"""Spark's JDBC writer: ``python jdbc.py FILE URL`` writes a Parquet file to a new table and says in how many seconds, its start not counted."""

from __future__ import annotations

import sys
import time

from caudal.engine import session, stop

frame = session(connectors=frozenset({"postgresql"}), cores=2, memory="2g").read.parquet(sys.argv[1]).repartition(2)
frame.write.format("noop").mode("overwrite").save()  # what has to be compiled and read once is not counted
began = time.perf_counter()
told = {"driver": "org.postgresql.Driver", "batchsize": "10000", "reWriteBatchedInserts": "true"}
frame.write.jdbc(sys.argv[2], "by_jdbc", mode="overwrite", properties=told)
print(time.perf_counter() - began)
stop()
