"""How S3 and HDFS are reached by the three that do: Arrow, ``deltalake``, and Spark's Hadoop client.

All take the usual chain of credentials (variables, profile, the machine's role) and ``AWS_ENDPOINT_URL``; caudal looks at no key and
keeps none. All give up after a few tries: a server that is away is told of in seconds.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from caudal.errors import DeclarationProblem, nearest
from caudal.extras import require

SCHEMES = ("s3", "hdfs")
_TRIES = 3
_CONNECT_S = 5
_HDFS = {"dfs.client.failover.max.attempts": "3", "dfs.client.failover.sleep.max.millis": "1000"}


@dataclass(frozen=True)
class Address:
    """A remote place: ``s3://bucket`` or ``hdfs://host:port``, and the path below."""

    root: str
    path: str


def address(said: str) -> Address | None:
    """Return the remote place that a text names; None where it is a path of this machine.

    Raises
    ------
    DeclarationProblem : it is of another kind, names no bucket or host, or has a user or a password in it

    Examples
    --------
    >>> address("s3://lake/shop/"), address("/var/lake")
    (Address(root='s3://lake', path='shop'), None)
    """
    scheme, mark, rest = said.partition("://")
    if not mark:
        return None
    host = rest.partition("/")[0]
    if "@" in host or "?" in rest:
        raise DeclarationProblem(
            f"The lake's address is to hold no user, password or key: '{scheme}://…{rest.rpartition('@')[2].partition('?')[0]}'.",
            fix="Leave it out; credentials come from the environment, a profile or the machine's role.",
        )
    if scheme not in SCHEMES:
        raise DeclarationProblem(
            f"A lake cannot lie on '{scheme}://'.", nearest=nearest(scheme, SCHEMES), fix="Write s3://bucket/…, hdfs://host:port/… or a folder."
        )  # fmt: skip
    if not host:
        raise DeclarationProblem(
            f"'{said}' names no {'bucket' if scheme == 's3' else 'host'}.", fix="Write s3://bucket/… or hdfs://host:port/…."
        )
    return Address(f"{scheme}://{host}", rest.partition("/")[2].strip("/"))


def filesystem(root: str) -> Any:
    """Return Arrow's file system for a root, made once; S3's is one for all buckets.

    Raises
    ------
    EnvironmentProblem : the client for HDFS is not installed
    """
    if root.startswith("s3://"):
        return _s3(endpoint(), region(), *(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")))
    require("hdfs_native", extra="hdfs", for_="A lake on HDFS")
    return _hdfs(root)


@functools.cache
def _hdfs(root: str) -> Any:
    import pyarrow.fs as pf

    from caudal.storage.hdfs import Hdfs

    at = urlsplit(root)
    return pf.PyFileSystem(pf.FSSpecHandler(Hdfs(at.hostname, at.port, **_HDFS)))


@functools.cache
def _s3(at: str | None, region_name: str | None, key: str | None, profile: str | None) -> Any:  # the last two: whose client it is
    import pyarrow.fs as pf

    return pf.S3FileSystem(
        endpoint_override=at, region=region_name, connect_timeout=_CONNECT_S, request_timeout=60,
        retry_strategy=pf.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        tls_ca_file_path=os.environ.get("AWS_CA_BUNDLE") or None,
    )  # fmt: skip


def storage(root: str) -> dict[str, str]:
    """Return what ``deltalake`` is told about a root: a commit is a write that fails where there is a file already."""
    if not root.startswith("s3://"):
        return dict(_HDFS)
    said = {
        "aws_conditional_put": "etag", "max_retries": str(_TRIES), "retry_timeout": "20s", "connect_timeout": f"{_CONNECT_S}s", "timeout": "60s",
    }  # fmt: skip
    if at := endpoint():
        # Without the last it would look for no profile where the server is not Amazon's.
        said |= {
            "aws_endpoint_url": at, "aws_allow_http": str(at.startswith("http://")).lower(), "aws_force_credential_load": "true",
        }  # fmt: skip
    if name := region():
        said["aws_region"] = name
    return said


def connectors(root: str) -> frozenset[str]:
    """Return the connectors that Spark needs for a root; it has a client for HDFS itself."""
    return frozenset({"s3"} if root.startswith("s3://") else ())


def spark_settings(root: str) -> dict[str, str]:
    """Return the settings of a Spark that writes below a root."""
    if not root.startswith("s3://"):
        return {
            "spark.hadoop.ipc.client.connect.max.retries": str(_TRIES),
            "spark.hadoop.ipc.client.connect.max.retries.on.timeouts": str(_TRIES),
            "spark.hadoop.ipc.client.connect.timeout": str(_CONNECT_S * 1000),
        }
    said = {
        "spark.hadoop.fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
        "spark.hadoop.fs.s3a.attempts.maximum": str(_TRIES),
        "spark.hadoop.fs.s3a.retry.limit": str(_TRIES),
        "spark.hadoop.fs.s3a.connection.establish.timeout": f"{_CONNECT_S}s",
        # Files of a job are uploads that nobody sees until the job ends well; a rename would copy every byte.
        "spark.hadoop.fs.s3a.committer.name": "magic",
        "spark.hadoop.fs.s3a.committer.magic.enabled": "true",
        "spark.hadoop.fs.s3a.committer.magic.track.commits.in.memory.enabled": "true",
        # What is written is in a folder of the step's own: there is nothing to be overwritten that would have to be asked for.
        "spark.hadoop.fs.s3a.create.performance": "true",
        "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    }
    if at := endpoint():
        said |= {
            "spark.hadoop.fs.s3a.endpoint": at,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(at.startswith("https://")).lower(),
        }
    if name := region():
        said["spark.hadoop.fs.s3a.endpoint.region"] = name
    return said


def endpoint() -> str | None:
    """Return the address of an S3 that is not Amazon's, as every AWS tool is told it."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def region() -> str | None:
    """Return the region that was set; an S3 of one's own has none, and its clients want one."""
    named = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return named or ("us-east-1" if endpoint() else None)
