"""Egress: what may be dialled is decided by the address that is dialled, whatever a name, a redirect or AWS_… say."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from portal.database import now
from portal.errors import Unavailable
from portal.network.egress import Egress, EgressRefused, guarded_pools, is_public, literal_address
from portal.objectstore import client
from portal.objectstore.bucket import Bucket
from portal.objectstore.capabilities import send_test_form
from portal.objectstore.client import connect
from portal.objectstore.location import Location
from tests.support.stores.listener import Listener

NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::127.0.0.1",
    "::8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["8.8.8.8", "52.95.110.1", "100.63.255.255", "100.128.0.1", "172.32.0.1", "2600:1f18::1", "2a05:d018::5"]
THIS_METADATA = [
    "2852039166",
    "0xA9FEA9FE",
    "0xa9.0xfe.0xa9.0xfe",
    "0251.0376.0251.0376",
    "169.16689662",
    "169.254.43518",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_what_is_no_single_machine_of_the_internet_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("spelled", THIS_METADATA)
def test_every_spelling_of_an_address_is_that_address(spelled: str) -> None:
    assert literal_address(spelled) == ipaddress.ip_address("169.254.169.254")
    with pytest.raises(EgressRefused):
        Egress().resolve(spelled, 443, plain=False)


@pytest.mark.parametrize("spelled", ["1.2.3.4.5", "256.1.1.1", "99999999999", "0x"])
def test_numbers_that_are_no_address_lead_nowhere(spelled: str) -> None:
    with pytest.raises((ValueError, EgressRefused, socket.gaierror)):
        literal_address(spelled) or Egress().resolve(spelled, 443, plain=False)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("minio.internal", "minio.internal", 9000, "10.0.0.5"),
        ("minio.internal:9001", "minio.internal", 9001, "10.0.0.5"),
        ("minio.internal:9001", "files.minio.internal", 9001, "10.0.0.5"),
        ("10.0.0.0/8", "whatever.example", 443, "10.200.0.1"),
        ("fd00::/8", "whatever.example", 443, "fd12::1"),
        ("10.0.0.5:9001", "10.0.0.5", 9001, "10.0.0.5"),
        ("[fd12::1]:9001", "fd12::1", 9001, "fd12::1"),
    ],
)
def test_what_the_operator_names_is_open(entry: str, host: str, port: int, address: str) -> None:
    rules = Egress.parse([entry])
    assert rules.allows(host, port, ipaddress.ip_address(address), plain=False)
    assert not rules.allows(host, port, ipaddress.ip_address(address), plain=True)


@pytest.mark.parametrize(
    ("entry", "host", "port", "address"),
    [
        ("minio.internal", "minio.internal.evil.example", 9000, "10.0.0.5"),
        ("minio.internal", "a.b.minio.internal", 9000, "10.0.0.5"),
        ("minio.internal:9001", "minio.internal", 443, "10.0.0.5"),
        ("10.0.0.0/8", "whatever.example", 443, "192.168.0.1"),
        ("10.0.0.5:9001", "10.0.0.5", 443, "10.0.0.5"),
        ("10.0.0.0/8", "10.0.0.5", 5432, "10.0.0.5"),
        ("127.0.0.1", "::ffff:127.0.0.1", 443, "::ffff:127.0.0.1"),
    ],
)
def test_and_nothing_else_is(entry: str, host: str, port: int, address: str) -> None:
    assert not Egress.parse([entry]).allows(host, port, ipaddress.ip_address(address), plain=False)


def test_plain_http_needs_an_entry_of_its_own() -> None:
    rules = Egress.parse(["http://127.0.0.1:8333", "10.0.0.0/8", "http://minio"])
    here, there = ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("10.0.0.1")
    assert rules.allows("127.0.0.1", 8333, here, plain=True)
    assert rules.allows("minio", 80, there, plain=True)
    for host, port, address in (("127.0.0.1", 8334, here), ("10.0.0.1", 8333, there), ("s3.example.com", 80, there)):
        assert not rules.allows(host, port, address, plain=True)
    assert not Egress().allows("s3.example.com", 443, ipaddress.ip_address("8.8.8.8"), plain=True)


@pytest.mark.parametrize(
    "entry",
    ["https://minio:9000", "10.0.0.1/8", "http://a/b", "me@minio", "minio:port", "http://", "300.1.1.1", "minio:0"],
)
def test_an_entry_that_can_not_be_read_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="neither host"):
        Egress.parse([entry])


# On the wire. 127.0.0.1 stands for what is allowed, 127.0.0.2 for what is not.


@pytest.fixture
def trap() -> Iterator[Listener]:
    with Listener(host="127.0.0.2") as listener:
        yield listener
        assert listener.requests == []


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """A name server: each look-up of the name takes the next answer, [] for "no such name". What was asked of it."""

    def answering(name: str, *answers: list[str]) -> list[str]:
        asked, left, really = [], list(answers), socket.getaddrinfo

        def look_up(host: str, port: Any, *rest: Any, **options: Any) -> Any:
            if host != name:
                return really(host, port, *rest, **options)
            asked.append(host)
            if not left[0]:
                raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
            return [entry for each in left.pop(0) for entry in really(each, port, *rest, **options)]

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        return asked

    return answering


def at(url: str, *allowed: str, **more: Any) -> Location:
    place = {"public_endpoint": None, "region": "us-east-1", "bucket": "files", "access_key_id": "OURS"}
    return Location(endpoint=url, secret_access_key="ours-too", egress=Egress.parse(allowed), **place | more)


def refusal(location: Location) -> str:
    with pytest.raises(Unavailable) as refused:
        Bucket(location).head("key")
    return refused.value.detail


def test_a_private_address_is_refused_before_a_byte_is_sent(trap: Listener) -> None:
    for url in (trap.url, f"https://127.0.0.2:{trap.port}", f"http://localhost:{trap.port}"):
        assert "public address" in refusal(at(url))


def test_a_form_is_not_sent_there_either(trap: Listener) -> None:
    with pytest.raises(Unavailable, match="public address"):
        send_test_form(at(trap.url), "key")


def dial(rules: Egress, host: str, port: int) -> str:
    """The address that a connection to ``host`` has reached, before TLS."""
    pool: Any = guarded_pools(rules)["https"](host, port)
    with pool.ConnectionCls(host, port, timeout=3)._new_conn() as connected:
        return str(connected.getpeername()[0])


def test_the_address_that_was_checked_is_the_one_that_is_dialled(
    trap: Listener, names: Callable[..., list[str]]
) -> None:
    with Listener(port=trap.port):
        asked = names("store.example", ["127.0.0.1"], ["127.0.0.2"])
        rules = Egress.parse([f"127.0.0.1:{trap.port}"])
        assert dial(rules, "store.example", trap.port) == "127.0.0.1"
        assert asked == ["store.example"]  # once: nothing looks it up again between check and connect
        with pytest.raises(EgressRefused):
            dial(rules, "store.example", trap.port)  # a name that leads inside at the second look


def test_only_what_is_allowed_of_a_name_is_dialled(names: Callable[..., list[str]]) -> None:
    names("store.example", ["127.0.0.2", "8.8.8.8"], ["127.0.0.2"])
    assert Egress().resolve("store.example", 443, plain=False) == [ipaddress.ip_address("8.8.8.8")]
    with pytest.raises(EgressRefused):
        Egress().resolve("store.example", 443, plain=False)


@pytest.mark.parametrize("port", [22, 25, 80, 5432, 6379, 8080])
def test_other_ports_are_refused(port: int, names: Callable[..., list[str]]) -> None:
    names("store.example", ["8.8.8.8"])
    with pytest.raises(EgressRefused):
        Egress().resolve("store.example", port, plain=False)


def test_a_name_that_does_not_exist_is_refused_in_the_words_for_a_private_address(
    trap: Listener, names: Callable[..., list[str]]
) -> None:
    names("internal.example", [], ["127.0.0.2"])
    assert refusal(at("https://internal.example")) == refusal(at("https://internal.example"))


def test_nothing_is_dialled_should_boto3_not_use_our_transport(trap: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "SEND_EVENT", "no-such-event.s3")
    assert "can't be reached" in refusal(at(trap.url, trap.url))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("say", ["head", "get", "put", "list", "form"])
def test_a_redirect_is_told_and_not_followed(trap: Listener, status: int, say: str) -> None:
    headers = {"Location": f"{trap.url}/elsewhere", "x-amz-bucket-region": "eu-west-1"}
    with Listener(status, headers) as store:
        place = at(store.url, store.url)
        bucket = Bucket(place)
        calls: dict[str, Callable[[], Any]] = {
            "head": lambda: bucket.head("key"),
            "get": lambda: bucket.get("key").__enter__(),
            "put": lambda: bucket.put("key", b"x", content_type="text/plain"),
            "list": lambda: list(bucket.list("workspaces/")),
            "form": lambda: send_test_form(place, "key"),
        }
        if say == "form":
            with pytest.raises(Unavailable):
                calls[say]()
        else:
            with pytest.raises(Unavailable, match=r"elsewhere|another region"):
                calls[say]()
        assert store.requests


def test_credentials_come_from_the_profile_alone(monkeypatch: pytest.MonkeyPatch, trap: Listener) -> None:
    ambient = {
        "AWS_ACCESS_KEY_ID": "AMBIENT",
        "AWS_SECRET_ACCESS_KEY": "ambient",
        "AWS_SESSION_TOKEN": "ambient-token",
        "AWS_PROFILE": "nobody",
        "AWS_DEFAULT_REGION": "ap-south-1",
        "AWS_REGION": "ap-south-1",
        "AWS_ENDPOINT_URL": trap.url,
        "AWS_ENDPOINT_URL_S3": trap.url,
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{trap.url}/credentials",
        "AWS_USE_FIPS_ENDPOINT": "true",
        "AWS_USE_DUALSTACK_ENDPOINT": "true",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT": trap.url,
        "HTTP_PROXY": trap.url,
        "HTTPS_PROXY": trap.url,
        "ALL_PROXY": trap.url,
    }
    for name, value in ambient.items():
        monkeypatch.setenv(name, value)
        monkeypatch.setenv(name.lower(), value)
    with Listener(403) as store:
        with pytest.raises(Unavailable, match="refused our key"):
            Bucket(at(store.url, store.url)).head("key")
        for _method, path, headers in store.requests:
            signed = headers["Authorization"] or unquote(path)  # a HEAD carries its signature in the address
            assert "Credential=OURS/" in signed and "/us-east-1/s3/" in signed
            assert headers["X-Amz-Security-Token"] is None
        assert store.requests


@pytest.mark.parametrize("missing", ["access_key_id", "secret_access_key"])
def test_without_credentials_there_is_no_client(missing: str) -> None:
    values: dict[str, Any] = {"access_key_id": "ours", "secret_access_key": "ours-too"} | {missing: ""}
    with pytest.raises(ValueError, match="credentials of its own"):
        connect(Location("https://s3.example.com", None, "us-east-1", "files", **values), 5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for 127.0.0.1 that nobody has signed but itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    day = timedelta(days=1)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now() - day, now() + day)
        .add_extension(alternative, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "store.pem"
    plain = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(key.private_bytes(*plain) + made.public_bytes(Encoding.PEM))
    return path


def test_a_certificate_that_is_not_trusted_is_refused(certificate: Path) -> None:
    with Listener(404, certificate=certificate) as store:
        assert "can't be reached" in refusal(at(store.url, f"127.0.0.1:{store.port}"))
        assert store.requests == []


def test_a_trusted_one_is_taken_at_the_first_question(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))  # of the operator, for the deployment's own store
    with Listener(403, certificate=certificate) as store:
        assert "refused our key" in refusal(replace(at(store.url), egress=None, bucket="trusted"))
        assert store.requests
