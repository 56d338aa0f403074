"""Access to S3 and HDFS by the three clients: Arrow, ``deltalake``, and Spark's Hadoop client.

All use the standard chain of credentials (variables, profile, the machine's role) and ``AWS_ENDPOINT_URL``; caudal reads no key and
stores none. All give up after a few tries, so that an unreachable server is reported in seconds.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from caudal.errors import DeclarationProblem, nearest
from caudal.extras import require

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


SCHEMES = ("s3", "hdfs")
_TRIES = 3
_CONNECT_S = 5
_HDFS = {"dfs.client.failover.max.attempts": "3", "dfs.client.failover.sleep.max.millis": "1000"}


@dataclass(frozen=True)
class RemoteAddress:
    """A remote address: ``s3://bucket`` or ``hdfs://host:port``, and the path below."""

    root: str
    path: str


def parse_remote_address(text: str) -> RemoteAddress | None:
    """Parse a remote address; return None for a local path.

    Raises
    ------
    DeclarationProblem : the address is of another kind, names no bucket or host, or contains a user or a password

    Examples
    --------
    >>> parse_remote_address("s3://lake/shop/"), parse_remote_address("/var/lake")
    (RemoteAddress(root='s3://lake', path='shop'), None)
    """
    scheme, mark, rest = text.partition("://")
    if not mark:
        return None
    host = rest.partition("/")[0]
    if "@" in host or "?" in rest:
        raise DeclarationProblem(
            f"The lake's address must not hold a user, password or key: '{scheme}://…{rest.rpartition('@')[2].partition('?')[0]}'.",
            fix="Leave it out; credentials come from the environment, a profile or the machine's role.",
        )
    if scheme not in SCHEMES:
        raise DeclarationProblem(
            f"A lake cannot lie on '{scheme}://'.", nearest=nearest(scheme, SCHEMES), fix="Write s3://bucket/…, hdfs://host:port/… or a folder."
        )  # fmt: skip
    if not host:
        raise DeclarationProblem(
            f"'{text}' names no {'bucket' if scheme == 's3' else 'host'}.", fix="Write s3://bucket/… or hdfs://host:port/…."
        )
    return RemoteAddress(f"{scheme}://{host}", rest.partition("/")[2].strip("/"))


def filesystem(root: str) -> FileSystem:
    """Return Arrow's file system for a root, created once; S3 has one for all buckets.

    Raises
    ------
    EnvironmentProblem : the client for HDFS is not installed
    """
    if root.startswith("s3://"):
        return _s3(endpoint(), region(), *(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")))
    require("hdfs_native", extra="hdfs", for_="A lake on HDFS")
    return _hdfs(root)


@functools.cache
def _hdfs(root: str) -> FileSystem:
    import pyarrow.fs as pf

    from caudal.storage.hdfs import Hdfs

    url = urlsplit(root)
    return pf.PyFileSystem(pf.FSSpecHandler(Hdfs(url.hostname, url.port, **_HDFS)))


@functools.cache
def _s3(
    endpoint_url: str | None, region_name: str | None, key: str | None, profile: str | None
) -> FileSystem:  # the last two identify the credentials in the cache
    import pyarrow.fs as pf

    return pf.S3FileSystem(
        endpoint_override=endpoint_url, region=region_name, connect_timeout=_CONNECT_S, request_timeout=60,
        retry_strategy=pf.AwsStandardS3RetryStrategy(max_attempts=_TRIES),
        tls_ca_file_path=os.environ.get("AWS_CA_BUNDLE") or None,
    )  # fmt: skip


def storage(root: str) -> dict[str, str]:
    """Return ``deltalake``'s options for a root: a commit is a write that fails if the file exists."""
    if not root.startswith("s3://"):
        return dict(_HDFS)
    options = {
        "aws_conditional_put": "etag", "max_retries": str(_TRIES), "retry_timeout": "20s", "connect_timeout": f"{_CONNECT_S}s", "timeout": "60s",
    }  # fmt: skip
    if endpoint_url := endpoint():
        # Without the last option it would ignore profiles for servers other than Amazon's.
        options |= {
            "aws_endpoint_url": endpoint_url, "aws_allow_http": str(endpoint_url.startswith("http://")).lower(), "aws_force_credential_load": "true",
        }  # fmt: skip
    if region_name := region():
        options["aws_region"] = region_name
    return options


def storage_connectors(root: str) -> frozenset[str]:
    """Return the connectors that Spark needs for a root; its client for HDFS is built in."""
    return frozenset({"s3"} if root.startswith("s3://") else ())


def storage_settings(root: str) -> dict[str, str]:
    """Return the settings of a Spark session that writes below a root."""
    if not root.startswith("s3://"):
        return {
            "spark.hadoop.ipc.client.connect.max.retries": str(_TRIES),
            "spark.hadoop.ipc.client.connect.max.retries.on.timeouts": str(_TRIES),
            "spark.hadoop.ipc.client.connect.timeout": str(_CONNECT_S * 1000),
        }
    options = {
        "spark.hadoop.fs.s3a.aws.credentials.provider": "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
        "spark.hadoop.fs.s3a.attempts.maximum": str(_TRIES),
        "spark.hadoop.fs.s3a.retry.limit": str(_TRIES),
        "spark.hadoop.fs.s3a.connection.establish.timeout": f"{_CONNECT_S}s",
        # A job's files are uploads that stay invisible until the job succeeds; a rename would copy every byte.
        "spark.hadoop.fs.s3a.committer.name": "magic",
        "spark.hadoop.fs.s3a.committer.magic.enabled": "true",
        "spark.hadoop.fs.s3a.committer.magic.track.commits.in.memory.enabled": "true",
        # Each step writes to a separate folder, so Spark need not check for files to overwrite.
        "spark.hadoop.fs.s3a.create.performance": "true",
        "spark.hadoop.mapreduce.outputcommitter.factory.scheme.s3a": "org.apache.hadoop.fs.s3a.commit.S3ACommitterFactory",
        "spark.sql.sources.commitProtocolClass": "org.apache.spark.internal.io.cloud.PathOutputCommitProtocol",
        "spark.sql.parquet.output.committer.class": "org.apache.spark.internal.io.cloud.BindingParquetOutputCommitter",
    }
    if endpoint_url := endpoint():
        options |= {
            "spark.hadoop.fs.s3a.endpoint": endpoint_url,
            "spark.hadoop.fs.s3a.path.style.access": "true",
            "spark.hadoop.fs.s3a.connection.ssl.enabled": str(endpoint_url.startswith("https://")).lower(),
        }
    if region_name := region():
        options["spark.hadoop.fs.s3a.endpoint.region"] = region_name
    return options


def endpoint() -> str | None:
    """Return the address of an S3 server other than Amazon's, from the variables of all AWS tools."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def region() -> str | None:
    """Return the configured region; a server of one's own has none, but its clients require one."""
    configured = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    return configured or ("us-east-1" if endpoint() else None)
