"""The proxies of ``deploy/proxies``, with nothing but ports, addresses and certificates exchanged."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.certificate import make_certificate
from tests.support.processes import ROOT

CONFIGURATIONS = ROOT / "deploy" / "proxies"


def program(name: str) -> str | None:
    """Where the proxy is installed, or None."""
    return shutil.which(name, path=f"{Path(sys.prefix) / 'bin'}:/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")


@contextmanager
def running_proxy(name: str, portal_port: int, port: int, plain_port: int, folder: Path) -> Iterator[ssl.SSLContext]:
    """The proxy on ``port`` (https) and ``plain_port`` before the portal; a client's context that trusts it."""
    _, certificate = make_certificate(folder)
    both = folder / "both.pem"
    both.write_bytes(certificate.read_bytes() + (folder / "key.pem").read_bytes())
    upstream = f"127.0.0.1:{portal_port}"
    command = {"nginx": _nginx, "haproxy": _haproxy, "caddy": _caddy}[name](folder, upstream, port, plain_port)
    with (folder / f"{name}.log").open("wb") as log:
        environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environment)
    try:
        _wait_for(port, process, folder / f"{name}.log")
        yield ssl.create_default_context(cafile=str(certificate))
    finally:
        process.terminate()
        process.wait(10)


def _nginx(folder: Path, upstream: str, port: int, plain_port: int) -> list[str]:
    site = (CONFIGURATIONS / "nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:8000", upstream),
        ("listen 80;", f"listen 127.0.0.1:{plain_port};"),
        ("    listen [::]:80;\n", ""),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("/etc/ssl/certs/files.example.com.pem", str(folder / "certificate.pem")),
        ("/etc/ssl/private/files.example.com.key", str(folder / "key.pem")),
        ("files.example.com", "localhost"),
    ):
        assert old in site, old
        site = site.replace(old, new)
    temporary = "".join(
        f"{kind}_temp_path {folder / kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    main = folder / "nginx.conf"
    main.write_text(
        f"daemon off; pid {folder / 'nginx.pid'}; error_log stderr error; worker_processes 1;\n"
        f"events {{ worker_connections 2048; }}\nhttp {{ access_log off;\n{temporary}{site}}}\n",
        encoding="utf-8",
    )
    return [program("nginx") or "", "-c", str(main), "-e", "stderr"]


def _haproxy(folder: Path, upstream: str, port: int, plain_port: int) -> list[str]:
    text = (CONFIGURATIONS / "haproxy.cfg").read_text(encoding="utf-8")
    for old, new in (
        ("127.0.0.1:8000", upstream),
        ("bind :80\n", f"bind 127.0.0.1:{plain_port}\n"),
        ("bind :443 ", f"bind 127.0.0.1:{port} "),
        ("/etc/haproxy/files.example.com.pem", str(folder / "both.pem")),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "haproxy.cfg").write_text(text, encoding="utf-8")
    return [program("haproxy") or "", "-db", "-f", str(folder / "haproxy.cfg")]


def _caddy(folder: Path, upstream: str, port: int, plain_port: int) -> list[str]:
    text = (CONFIGURATIONS / "Caddyfile").read_text(encoding="utf-8")
    ours = f"https://localhost:{port} {{\n\ttls {folder / 'certificate.pem'} {folder / 'key.pem'}"
    for old, new in (
        ("127.0.0.1:8000", upstream),
        ("\nfiles.example.com {", f"\n{ours}"),
        (
            "\tservers {",
            f"\tadmin off\n\thttp_port {plain_port}\n\thttps_port {port}\n\tskip_install_trust\n\tservers {{",
        ),
    ):
        assert old in text, old
        text = text.replace(old, new, 1)
    (folder / "Caddyfile").write_text(text, encoding="utf-8")
    return [program("caddy") or "", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 15
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            words = log.read_text(encoding="utf-8", errors="replace")
            assert process.poll() is None and time.monotonic() < deadline, words
            time.sleep(0.05)
