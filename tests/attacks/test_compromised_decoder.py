"""A decoder that a file has taken over, in the process that makes previews: what it still reaches."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from portal.previews import renderer
from portal.sandbox import landlock

CAPTURED = """
    import ctypes, sys
    from pathlib import Path
    from portal.previews import child
    from portal.sandbox import landlock
    from portal.previews.types import Limits

    source, out_dir = Path({source!r}), Path({out_dir!r})
    child._confine(Limits())
    if not landlock.confine(source, out_dir):
        sys.exit(77)
    import os, socket
    {attempt}
"""
NO_LANDLOCK = 77


def captured(tmp_path: Path, attempt: str) -> subprocess.CompletedProcess[str]:
    """Run ``attempt`` as the decoder would; skips on a kernel that has no Landlock."""
    (tmp_path / "work" / "out").mkdir(parents=True)
    (tmp_path / "work" / "source").write_bytes(b"a picture")
    (tmp_path / "secrets.json").write_text("secret", encoding="ascii")
    paths = {"source": str(tmp_path / "work" / "source"), "out_dir": str(tmp_path / "work" / "out")}
    program = textwrap.dedent(CAPTURED).format(attempt=attempt, **paths)
    command = [sys.executable, "-E", "-s", "-c", program]
    done = subprocess.run(
        command, cwd=renderer.ROOT, env=renderer.ENVIRONMENT, capture_output=True, text=True, check=False
    )
    if done.returncode == NO_LANDLOCK:
        pytest.skip("this kernel has no Landlock")
    return done


def test_it_reads_its_picture_and_writes_its_previews(tmp_path: Path) -> None:
    done = captured(tmp_path, "(out_dir / 'web.webp').write_bytes(source.read_bytes())")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "work" / "out" / "web.webp").read_bytes() == b"a picture"


@pytest.mark.parametrize(
    "attempt",
    [
        "print(open(source.parent.parent / 'secrets.json').read())",
        "print(open(f'/proc/{os.getppid()}/environ').read())",
        "print(open('/etc/passwd').read())",
        "print(os.listdir('/tmp'))",
        "print(os.listdir())",
        "source.write_bytes(b'another picture')",
        "(source.parent / 'more').write_bytes(b'x')",
        "os.symlink('/etc/passwd', out_dir / 'web.webp')",
        "os.mkfifo(out_dir / 'web.webp')",
        "os.execv('/bin/sh', ['sh', '-c', 'id'])",
        "os.kill(os.getppid(), 0)",
    ],
)
def test_it_gets_at_nothing_else(tmp_path: Path, attempt: str) -> None:
    done = captured(tmp_path, attempt)
    assert done.stdout == ""
    assert "PermissionError" in done.stderr


def test_it_talks_to_nobody(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = captured(tmp_path, f"socket.create_connection(('127.0.0.1', {port}))")
    assert "PermissionError" in done.stderr


def test_what_python_needs_does_not_include_the_folder_of_the_checkout() -> None:
    assert renderer.ROOT not in landlock._programs()
