"""Our signatures are the ones that botocore makes, at the addresses that botocore finds."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from portal.errors import Invalid
from portal.objectstore.disposition import attachment
from portal.objectstore.keys import PREFIX_LIMIT
from portal.objectstore.location import Location
from portal.objectstore.presign import Presigner

KEY = "workspaces/w/uploads/u/a name~(1)+ü.jpg"
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
PLACES = [
    Location("http://127.0.0.1:8333", None, "us-east-1", "bucket", "KEY", "secret"),
    Location("https://s3.example.com:443/", None, "auto", "bucket", "KEY", "secret"),
    Location("https://example.com/store/", None, "us-east-1", "bucket", "KEY", "secret", key_prefix="/their/files/"),
    Location("https://s3.example.com", None, "eu-1", "bucket", "KEY", "secret", addressing_style="virtual"),
    Location("https://s3.eu-central-1.amazonaws.com", None, "eu-central-1", "bucket", "KEY", "secret"),
    Location("http://[::1]:8333", None, "us-east-1", "bucket", "KEY", "secret"),
]


def _client(place: Location) -> Any:
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=place.endpoint,
        region_name=place.region,
        aws_access_key_id=place.access_key_id,
        aws_secret_access_key=place.secret_access_key,
        config=Config(
            signature_version="s3v4", s3={"addressing_style": "virtual" if place.style == "virtual" else "path"}
        ),
    )


def _taken_apart(url: str) -> tuple[str, dict[str, list[str]]]:
    parts = urlsplit(url)
    netloc = parts.netloc.removesuffix(":443") if parts.scheme == "https" else parts.netloc
    return f"{parts.scheme}://{netloc}{parts.path}", parse_qs(parts.query, strict_parsing=True)


def _moment(url: str) -> datetime:
    stamp = parse_qs(urlsplit(url).query)["X-Amz-Date"][0]
    return datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _same_but_for_the_port(ours: str, theirs: str, place: Location) -> bool:
    ours_apart, theirs_apart = _taken_apart(ours), _taken_apart(theirs)
    if ":443" in (place.endpoint or ""):  # botocore signs a port that no client sends
        del ours_apart[1]["X-Amz-Signature"], theirs_apart[1]["X-Amz-Signature"]
    return ours_apart == theirs_apart


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.endpoint)
def test_a_reading_url_is_botocores(place: Location) -> None:
    parameters = {
        "Bucket": place.bucket,
        "Key": place.full_key(KEY),
        "ResponseContentDisposition": attachment("Zürich (1).jpg"),
        "ResponseContentType": "image/jpeg",
        "ResponseCacheControl": "private, immutable",
    }
    theirs = _client(place).generate_presigned_url("get_object", parameters, ExpiresIn=300)
    ours = Presigner(place).presign_get(
        KEY,
        disposition=attachment("Zürich (1).jpg"),
        content_type="image/jpeg",
        cache_control="private, immutable",
        expires_in=300,
        now=_moment(theirs),
    )
    assert _same_but_for_the_port(ours, theirs, place)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.endpoint)
def test_a_writing_url_is_botocores(place: Location) -> None:
    parameters = {
        "Bucket": place.bucket,
        "Key": place.full_key(KEY),
        "ContentType": "image/jpeg",
        "ContentLength": 1234,
        "ChecksumSHA256": base64.b64encode(bytes.fromhex(SHA256)).decode(),
    }
    signer, client = Presigner(place), _client(place)
    for _ in range(5):  # both read the clock: take a pair from the same second
        theirs = client.generate_presigned_url("put_object", parameters, ExpiresIn=300)
        ours = signer.presign_put(KEY, content_type="image/jpeg", size=1234, sha256=SHA256, expires_in=300)
        if _moment(theirs) == _moment(ours.url):
            break
    assert _same_but_for_the_port(ours.url, theirs, place)
    assert ours.headers == {"Content-Type": "image/jpeg", "x-amz-checksum-sha256": parameters["ChecksumSHA256"]}
    assert (
        "content-length;content-type;host;x-amz-checksum-sha256"
        in parse_qs(urlsplit(ours.url).query)["X-Amz-SignedHeaders"]
    )


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.endpoint)
def test_the_url_of_a_part_is_botocores(place: Location) -> None:
    parameters = {
        "Bucket": place.bucket,
        "Key": place.full_key(KEY),
        "UploadId": "an/id+of==",
        "PartNumber": 7,
        "ContentLength": 1234,
    }
    signer, client = Presigner(place), _client(place)
    for _ in range(5):  # both read the clock: take a pair from the same second
        theirs = client.generate_presigned_url("upload_part", parameters, ExpiresIn=300)
        ours = signer.presign_part(KEY, "an/id+of==", 7, size=1234, expires_in=300)
        if _moment(theirs) == _moment(ours.url):
            break
    assert _same_but_for_the_port(ours.url, theirs, place)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.endpoint)
def test_the_policy_of_a_form_is_signed_as_botocore_signs_it(place: Location) -> None:
    now = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    form = Presigner(place).presign_post(KEY, content_type="image/jpeg", size=1234, expires_in=300, now=now)
    request = AWSRequest()
    request.context["timestamp"] = form.fields["x-amz-date"]
    botocores = S3SigV4Auth(Credentials(place.access_key_id, place.secret_access_key), "s3", place.region)
    assert form.fields["x-amz-signature"] == botocores.signature(form.fields["policy"], request)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.endpoint)
def test_a_form_goes_where_botocore_sends_it_and_binds_all_its_fields(place: Location) -> None:
    form = Presigner(place).presign_post(KEY, content_type="image/jpeg", size=1234, sha256=SHA256, expires_in=300)
    theirs = _client(place).generate_presigned_post(place.bucket, place.full_key(KEY))
    assert form.url.rstrip("/") == theirs["url"].replace(":443", "").rstrip("/")
    conditions = json.loads(base64.b64decode(form.fields["policy"]))["conditions"]
    bound = {
        name: value for condition in conditions if isinstance(condition, dict) for name, value in condition.items()
    }
    free = {"policy", "x-amz-signature"}
    assert bound == {"bucket": place.bucket} | {name: form.fields[name] for name in form.fields.keys() - free}
    assert ["content-length-range", 1234, 1234] in conditions
    assert form.fields.keys() >= {"key", "Content-Type", "success_action_status", "x-amz-checksum-sha256"}


def test_a_url_stays_the_same_while_its_moment_does() -> None:
    signer, now = Presigner(PLACES[0]), datetime(2026, 11, 23, 18, tzinfo=UTC)

    def sign(moment: datetime) -> str:
        return signer.presign_get(KEY, disposition="inline", expires_in=3600, now=moment)

    assert sign(now) == sign(now)
    assert sign(now) != sign(now + timedelta(seconds=1))


@pytest.mark.parametrize("expires_in", [0, -1, 604_801])
def test_a_life_that_no_store_accepts_is_refused(expires_in: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        Presigner(PLACES[0]).presign_get(KEY, disposition="inline", expires_in=expires_in)


def test_browsers_get_the_public_address_and_servers_the_other() -> None:
    place = Location("http://store.internal:8333", "https://files.example.com", "us-east-1", "bucket", "KEY", "secret")
    assert place.address(public=True) == "https://files.example.com/bucket"
    assert place.address(public=False) == "http://store.internal:8333/bucket"
    assert (
        Presigner(place).presign_get(KEY, disposition="inline", expires_in=60).startswith("https://files.example.com/")
    )


def test_without_an_endpoint_it_is_amazon_in_that_region() -> None:
    place = Location(None, None, "eu-central-1", "bucket", "KEY", "secret", addressing_style="auto")
    assert place.address(public=True) == "https://bucket.s3.eu-central-1.amazonaws.com"
    dotted = Location(None, None, "cn-north-1", "a.bucket", "KEY", "secret", addressing_style="auto")
    assert dotted.address(public=True) == "https://s3.cn-north-1.amazonaws.com.cn/a.bucket"


def test_a_prefix_that_would_push_keys_past_the_limit_is_refused() -> None:
    with pytest.raises(Invalid):
        Location(None, None, "us-east-1", "bucket", "KEY", "secret", key_prefix="ü" * (PREFIX_LIMIT // 2 + 1))


def test_a_secret_is_not_shown() -> None:
    assert "secret" not in repr(PLACES[0]).replace("secret_access_key", "")


@pytest.mark.parametrize("place", PLACES)
def test_a_signer_for_many_gives_the_same_urls(place: Location) -> None:
    signer, now = Presigner(place), datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
    many = signer.get_signer(cache_control="private, max-age=3600", expires_in=3600, now=now)
    for key, disposition in ((KEY, attachment("a b ü.jpg")), ("plain/key.webp", "inline")):
        one = signer.presign_get(
            key, disposition=disposition, cache_control="private, max-age=3600", expires_in=3600, now=now
        )
        assert many(key, disposition) == one
    assert "response-content-disposition" not in many(KEY, None)
    with pytest.raises(ValueError, match="quarantine"):
        many("workspaces/w/quarantine/a/file", "inline")
