"""Makes a metastore with a database and tables as a product's session would, and prints the inspection of that session as JSON.

python metastore_session.py '{"spark.hadoop.javax.jdo.option.ConnectionURL": …}' '["connector"]'
"""

import json
import sys

from caudal.client.inspected import inspect_environment
from caudal.engine import session, stop

conf, connectors = (json.loads(argument) for argument in sys.argv[1:3])
spark = session(
    connectors=frozenset(connectors), memory="1g", cores=1, brief=True,
    # Tables without their constraints: to add these, DataNucleus waits for locks that a transaction of its own holds.
    conf={**conf, "spark.sql.catalogImplementation": "hive", "spark.hadoop.datanucleus.schema.autoCreateTables": "true",
          "spark.hadoop.datanucleus.schema.autoCreateConstraints": "false",
          "spark.hadoop.hive.metastore.schema.verification": "false", "spark.ui.enabled": "true", "spark.ui.port": "0",
          "spark.hadoop.datanucleus.rdbms.initializeColumnInfo": "NONE"},  # else each of Hive's classes reads the columns of all tables
)  # fmt: skip
before = inspect_environment(only=["metastore", "catalog"])
spark.sql("CREATE DATABASE sales")
for name in ("orders", "customers"):
    spark.sql(f"CREATE TABLE sales.{name} (id INT) USING parquet")
spark.range(1).createOrReplaceTempView("passing")
after = inspect_environment(
    only=["session", "applications", "metastore", "catalog"], ui=[spark.sparkContext.uiWebUrl], timeout_s=60
)
print(json.dumps({"before": before.document, "after": after.document}))
stop()
