"""HeadObject as every commit asks it: signed by ourselves, sent through the pool of a boto3 client.

boto3 needs 2.5 ms of the processor for this one question, of which the network is a fifth. What is shared with it is
what matters: its connections (and whatever guards them), its certificates, its errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from urllib3 import Retry

from portal.objectstore.presign import Presigner

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ONCE_MORE = Retry(
    1,
    redirect=0,
    status_forcelist=(500, 502, 503, 504),
    raise_on_redirect=False,
    raise_on_status=False,
    respect_retry_after_header=False,  # a store could have us sleep for hours
)
CHECKSUM = {"x-amz-checksum-mode": "ENABLED"}


def head_object(client: S3Client, presigner: Presigner, key: str) -> dict[str, Any]:
    """What ``client.head_object`` answers, as far as ``ObjectFacts`` reads it; raises ``ClientError`` as it does.

    ``presigner`` signs for the address that servers reach.
    """
    path, headers = presigner.own_head(key, CHECKSUM)
    pools: Any = client._endpoint.http_session._manager  # type: ignore[attr-defined]
    host = pools.connection_from_host(*presigner.origin)
    answer = host.urlopen("HEAD", path, headers=headers, retries=ONCE_MORE, redirect=False)
    if answer.status != 200:
        refusal: Any = {"Error": {"Code": str(answer.status)}, "ResponseMetadata": {"HTTPStatusCode": answer.status}}
        raise ClientError(refusal, "HeadObject")
    said = answer.headers
    return {
        "ContentLength": int(said["Content-Length"]),
        "ETag": said.get("ETag", ""),
        "ContentType": said.get("Content-Type"),
        "ChecksumSHA256": said.get("x-amz-checksum-sha256"),
    }
