"""The table ``[platforms.prod]`` of each service, at an address where nothing answers."""

from __future__ import annotations

from typing import Any

TABLES: dict[str, dict[str, Any]] = {
    "databricks": {
        "host": "http://127.0.0.1:1", "token": "dapi-token", "volume": "/Volumes/main/tests/compare",
        "cluster": {"spark_version": "18.0.x-scala2.13", "node_type_id": "i3.xlarge", "num_workers": 0},
    },
    "emr": {"application": "00fnone", "role": "arn:aws:iam::123456789012:role/none", "place": "s3://bucket/scratch", "region": "us-east-1"},
}  # fmt: skip
