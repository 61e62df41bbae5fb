"""What a client claims about its own request changes nothing: neither its own answer nor another person's.

Spoken over raw sockets to the server that the Procfile starts, from 127.0.0.1, where a proxy on the same machine is.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from portal.web.wsgi_guard import WSGIGuard
from tests.support.processes import Stack
from tests.support.raw_http import RawAnswer, send_raw

EVIL = "evil.example"
PATHS = ("/login", "/login?next=/workspaces", "/nothing/here", "/reset", "/v1/me", "/")
# Every variable of CGI (RFC 3875, 4.1) and of PEP 3333 that is no header of HTTP.
CGI = (
    "AUTH_TYPE",
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
    "GATEWAY_INTERFACE",
    "HTTP_HOST",
    "HTTPS",
    "PATH_INFO",
    "PATH_TRANSLATED",
    "QUERY_STRING",
    "RAW_URI",
    "REMOTE_ADDR",
    "REMOTE_HOST",
    "REMOTE_IDENT",
    "REMOTE_PORT",
    "REMOTE_USER",
    "REQUEST_METHOD",
    "REQUEST_SCHEME",
    "REQUEST_URI",
    "SCRIPT_NAME",
    "SERVER_NAME",
    "SERVER_PORT",
    "SERVER_PROTOCOL",
    "SERVER_SOFTWARE",
    "wsgi.input",
    "wsgi.url_scheme",
    "werkzeug.request",
)
FORWARDING = (
    "Forwarded",
    "Front-End-Https",
    "Proxy",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Path",
    "X-Forwarded-Port",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Host",
    "X-HTTP-Method-Override",
    "X-Original-Host",
    "X-Original-URL",
    "X-Real-IP",
    "X-Remote-User",
    "X-Rewrite-URL",
    "X-Scheme",
    "X-Script-Name",
    "X-Url-Scheme",
)
# Names with a dash in place of the underscore become the same variables on some servers.
NAMES = sorted(
    {*CGI, *(name.replace("_", "-") for name in CGI), *FORWARDING, *(n.replace("-", "_") for n in FORWARDING)}
)
NAMES = [name for name in NAMES if name.upper().replace("_", "-") not in ("CONTENT-LENGTH", "CONTENT-TYPE")] + [
    "CONTENT_LENGTH",
    "CONTENT_TYPE",
]
VALUES = (
    f"//{EVIL}",
    f"/{EVIL}",
    f"https://{EVIL}",
    EVIL,
    "https",
    "/login",
    "for=192.0.2.1;host=evil.example;proto=https",
)
CHANGING = re.compile(  # tokens, the id of the request and the time
    r'(name="csrf_token"[^>]*value=")[^"]+|(value=")[^"]+("[^>]*name="csrf_token")|(name="csrf-token" content=")[^"]+|'
    r"[0-9a-f]{16}|Ij[\w.-]{40,}"
)


@pytest.mark.parametrize("name", NAMES)
def test_a_header_changes_no_answer(web_server: Stack, name: str) -> None:
    before = [_ask(web_server, path) for path in PATHS]
    for value in VALUES:
        poisoned = [_ask(web_server, path, f"{name}: {value}") for path in PATHS]
        assert [_plain(each) for each in poisoned] == [_plain(each) for each in before], value
    after = [_ask(web_server, path) for path in PATHS]
    assert [_plain(each) for each in after] == [_plain(each) for each in before]
    assert all(EVIL not in each.body and EVIL not in str(each.headers) for each in after)


def test_the_first_request_of_a_process_poisons_nothing(web_server: Stack) -> None:
    web_server.web.stop()
    web_server.web.start()
    web_server.wait_for_web()
    everything = [f"{name}: //{EVIL}" for name in NAMES if name.upper() not in ("CONTENT_LENGTH", "HTTP_HOST")]
    for path in (*PATHS, "/static/css/app.css", f"//{EVIL}/login"):
        for line in everything:
            _ask(web_server, path, line)
    assert all(EVIL not in _ask(web_server, path).body for path in PATHS)


@pytest.mark.parametrize(
    "target", ["//{}/login", "/\\{}/login", "/%2F{}/", "///{}", "http://{}/login", "{}", "@{}/", "/login?next=//{}"]
)
def test_no_redirect_leads_elsewhere(web_server: Stack, target: str) -> None:
    ours = web_server.settings.base_url
    for host in (_host(web_server), EVIL):
        answer = send_raw(_port(web_server), target.format(EVIL), host=host)
        location = answer.headers.get("location", "/")
        assert location == ours or location.startswith(f"{ours}/") or re.match(r"/(?![/\\])", location), location


@pytest.mark.parametrize(
    "target", ["//metrics", "/%6detrics", "/./metrics", "/x/../metrics", "/metrics/", "http://h/metrics"]
)
def test_metrics_are_answered_by_one_spelling_that_a_proxy_can_block(web_server: Stack, target: str) -> None:
    claims = [
        "SCRIPT_NAME: /x",
        "Script-Name: /x",
        "X-Script-Name: /x",
        "X-Original-URL: /metrics",
        "X-Rewrite-URL: /metrics",
    ]
    for line in ("X-Nothing: 1", *claims):
        for requested in (target, "/login", "/x/metrics"):
            assert "portal_http_requests" not in _ask(web_server, requested, line).body
    assert "portal_http_requests" in _ask(web_server, "/metrics").body


@pytest.mark.parametrize("trusts_proxies", [False, True])
def test_the_guard_repairs_what_a_server_believed(trusts_proxies: bool) -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], _start: Any) -> list[bytes]:
        seen.update(environ)
        return []

    believed = {f"HTTP_{name.upper().replace('-', '_')}": EVIL for name in FORWARDING if name not in ("X-Host",)}
    path = {"SCRIPT_NAME": "//evil.example", "PATH_INFO": "/login", "REMOTE_USER": "root", "REMOTE_ADDR": "192.0.2.1"}
    WSGIGuard(application, trusts_proxies=trusts_proxies)({**believed, **path, "HTTP_HOST": "ours"}, lambda *_: None)
    left = {name for name, value in seen.items() if value == EVIL}
    proxies = {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"} if trusts_proxies else set()
    assert left == proxies | {"HTTP_FRONT_END_HTTPS"}  # which nothing reads
    assert (seen["SCRIPT_NAME"], seen["PATH_INFO"]) == ("", "//evil.example/login")
    assert "REMOTE_USER" not in seen and seen["REMOTE_ADDR"] == "192.0.2.1" and seen["HTTP_HOST"] == "ours"


def _ask(stack: Stack, path: str, *lines: str) -> RawAnswer:
    return send_raw(_port(stack), path, *lines, host=_host(stack))


def _plain(answer: RawAnswer) -> tuple[int, str, str | None]:
    return answer.status, CHANGING.sub("", answer.body), answer.headers.get("location")


def _port(stack: Stack) -> int:
    return int(stack.settings.base_url.rpartition(":")[2])


def _host(stack: Stack) -> str:
    return stack.settings.base_url.partition("://")[2]
