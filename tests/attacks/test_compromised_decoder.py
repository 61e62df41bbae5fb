"""A decoder that a file has taken over, in the process that makes previews: what it still reaches."""

from __future__ import annotations

import os
import platform
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from portal.previews import renderer
from portal.previews.types import Limits
from portal.sandbox import confinement, landlock, layers, process

# What runs is Python, where a captured decoder would run machine code: both have only the kernel to ask.
PROGRAM = """
    import sys
    from pathlib import Path
    from portal.sandbox import confinement, landlock, namespaces, seccomp
    {before}
    folder = Path({folder!r})
    layers = confinement.confine(folder, folder / "source", folder / "out", confinement.SandboxLimits(1 << 30, 20, 30))
    import ctypes, errno, os, resource, signal, socket, time
    source, out_dir = Path("source"), Path("out")
    {attempt}
"""
EACH = """
    for name, attempt in {attempts!r}.items():
        try:
            exec(attempt)
            print(name, "done", sep=": ")
        except PermissionError:
            pass
        except OSError as error:
            print(name, error, sep=": ")
"""
NO_SECCOMP = "seccomp.install = lambda: False"
NO_LANDLOCK = "landlock.confine = lambda source, out_dir: 0"
NO_NAMESPACES = "namespaces.enter = lambda user: ()"
ALL_LAYERS, FILTER_ALONE = "", f"{NO_LANDLOCK}; {NO_NAMESPACES}"

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root could do it without the sandbox")
needs_x86 = pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers of the calls are x86-64's")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "work" / "out").mkdir(parents=True)
    (tmp_path / "work" / "source").write_bytes(b"a picture")
    (tmp_path / "secrets.json").write_text("secret", encoding="ascii")
    return tmp_path / "work"


def captured(
    folder: Path, attempt: str, *, without: str = "", python: Path = Path(sys.executable)
) -> subprocess.CompletedProcess[str]:
    """Run ``attempt`` as a decoder would, confined as one is; ``without`` takes layers away first."""
    program = textwrap.dedent(PROGRAM.format(folder=str(folder), before=without, attempt=attempt.strip()))
    command = [str(python), "-E", "-s", "-c", program]
    return subprocess.run(
        command, cwd=process.ROOT, env=process.ENVIRONMENT, capture_output=True, text=True, check=False
    )


def not_refused(folder: Path, attempts: dict[str, str], *, without: str = "") -> list[str]:
    """What came of those attempts, all in one process, that did not end with "permission denied"."""
    done = captured(folder, EACH.format(attempts=attempts), without=without)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_it_reads_its_picture_and_writes_its_previews(folder: Path) -> None:
    done = captured(folder, "(out_dir / 'web.webp').write_bytes(source.read_bytes())")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert (folder / "out" / "web.webp").read_bytes() == b"a picture"


def test_this_machine_offers_every_layer_that_the_tests_are_about(folder: Path) -> None:
    done = captured(folder, "print(layers.seccomp, layers.landlock > 0, 'net' in layers.namespaces)")
    assert done.stdout == "True True True\n", done.stderr


FILES = (
    "open('../secrets.json')",
    "open({folder!r} + '/../secrets.json')",
    "open('/proc/1/environ')",
    "open('/proc/self/environ')",
    "open('/etc/passwd')",
    "os.listdir('/tmp')",
    "os.listdir()",
    "source.write_bytes(b'another picture')",
    "open('more', 'wb')",
)


@pytest.mark.parametrize("without", [ALL_LAYERS, NO_SECCOMP], ids=["all layers", "no filter"])
def test_it_gets_at_no_other_file(folder: Path, without: str) -> None:
    attempts = {attempt: attempt.format(folder=str(folder)) for attempt in FILES}
    assert not_refused(folder, attempts, without=without) == []


NETWORK = {
    "TCP": "socket.socket(socket.AF_INET, socket.SOCK_STREAM).connect(('127.0.0.1', {port}))",
    "TCP over IPv6": "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
    "MPTCP": "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).connect(('127.0.0.1', {port}))",
    "TCP Fast Open": (
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM).sendto(b'x', 0x20000000, ('127.0.0.1', {port}))"
    ),
    "UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
    "path unix socket": "socket.socket(socket.AF_UNIX).connect('out/socket')",
    "abstract unix socket": "socket.socket(socket.AF_UNIX).connect('\\0stowage-attack')",
    "unix datagram": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', 'out/socket')",
    "socket pair": "socket.socketpair()",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "vsock": "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
}


@pytest.mark.parametrize("without", [ALL_LAYERS, FILTER_ALONE], ids=["all layers", "filter alone"])
def test_it_talks_to_nobody(folder: Path, without: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(folder / "out" / "socket"))
        local.listen()
        attempts = {name: attempt.format(port=server.getsockname()[1]) for name, attempt in NETWORK.items()}
        assert not_refused(folder, attempts, without=without) == []
        for each in (server, local):
            each.settimeout(0.2)
            with pytest.raises(TimeoutError):
                each.accept()


def test_without_the_filter_its_network_is_an_empty_one(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        attempts = {kind: NETWORK[kind].format(port=port) for kind in ("TCP", "MPTCP", "TCP Fast Open")}
        outcomes = not_refused(folder, attempts, without=f"{NO_SECCOMP}; {NO_LANDLOCK}")
        assert [words.partition("] ")[2] for words in outcomes] == ["Network is unreachable"] * 3
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()


OWN_FILES = {
    "chmod": "os.chmod(source, 0o777)",
    "chmod of the folder": "os.chmod('.', 0o777)",
    "fchmod": "os.fchmod(os.open(source, os.O_RDONLY), 0o777)",
    "chown": "os.chown(source, os.getuid(), os.getgid())",
    "utime": "os.utime(source, (0, 0))",
    "utime of an open file": "os.utime(os.open(source, os.O_RDONLY), (0, 0))",
    "extended attributes": "os.setxattr(source, 'user.a', b'x')",
    "truncate": "os.truncate(source, 0)",
    "rename": "os.rename(source, out_dir / 'source')",
    "hard link": "os.link(source, out_dir / 'source')",
    "symbolic link": "os.symlink('/etc/passwd', out_dir / 'web.webp')",
    "pipe with a name": "os.mkfifo(out_dir / 'web.webp')",
    "folder": "os.mkdir(out_dir / 'folder')",
}


@pytest.mark.parametrize("without", [ALL_LAYERS, FILTER_ALONE], ids=["all layers", "filter alone"])
def test_it_changes_nothing_about_files_of_its_user(folder: Path, without: str) -> None:
    before = (folder / "source").stat()
    assert not_refused(folder, OWN_FILES, without=without) == []
    after = (folder / "source").stat()
    assert (after.st_mode, after.st_mtime_ns, after.st_size) == (before.st_mode, before.st_mtime_ns, before.st_size)
    assert list((folder / "out").iterdir()) == []


OTHER_PROCESSES = {
    "prlimit of its parent": "resource.prlimit({pid}, resource.RLIMIT_NOFILE, (3, 3))",
    "limits of its parent, read": "resource.prlimit({pid}, resource.RLIMIT_NOFILE)",
    "signal": "os.kill({pid}, 0)",
    "signal to a group": "os.killpg({pid}, 0)",
    "signal to all": "os.kill(-1, signal.SIGCONT)",
    "signal by pidfd": "os.pidfd_open({pid})",
    "priority": "os.setpriority(os.PRIO_PROCESS, {pid}, 19)",
    "processors": "os.sched_setaffinity({pid}, [0])",
    "fork": "os.fork()",
    "fork that leaves its session": "os.fork() or (os.setsid(), time.sleep(60))",
    "vfork and exec": "os.posix_spawn('/bin/sh', ['sh', '-c', 'id'], {{}})",
    "exec": "os.execv('/bin/sh', ['sh', '-c', 'id'])",
    "session": "os.setsid()",
    "group": "os.setpgid(0, 0)",
    "another user": "os.setuid(0)",
}


@pytest.mark.parametrize("without", [ALL_LAYERS, FILTER_ALONE], ids=["all layers", "filter alone"])
def test_it_touches_no_other_process_and_starts_none(folder: Path, without: str) -> None:
    attempts = {name: attempt.format(pid=os.getpid()) for name, attempt in OTHER_PROCESSES.items()}
    assert not_refused(folder, attempts, without=without) == []


ROOT_ONLY = {
    "raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "packet socket": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
    "chroot": "os.chroot('out')",
    "clock": "time.clock_settime(time.CLOCK_REALTIME, time.time())",
    "host name": "socket.sethostname('stowage-attack')",
    "device": "os.mknod(out_dir / 'device', 0o20600, os.makedev(1, 1))",
}


@needs_root
@pytest.mark.parametrize(
    "without", [ALL_LAYERS, NO_SECCOMP, FILTER_ALONE], ids=["all layers", "no filter", "filter alone"]
)
def test_started_by_root_it_has_none_of_roots_privileges(folder: Path, without: str) -> None:
    assert not_refused(folder, ROOT_ONLY, without=without) == []


# Numbers of x86-64's unistd table. Bad arguments would give another error than EPERM if the call were allowed.
RAW_CALLS = {
    "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "recvfrom": 45, "sendmsg": 46, "bind": 49, "listen": 50,
    "socketpair": 53, "clone (a process)": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "rename": 82,
    "chmod": 90, "fchmod": 91, "chown": 92, "fchown": 93, "lchown": 94, "ptrace": 101, "setuid": 105, "setgid": 106,
    "setpgid": 109, "setsid": 112, "setresuid": 117, "capset": 126, "rt_sigqueueinfo": 129, "utime": 132, "mknod": 133,
    "personality": 135, "mlockall": 151, "pivot_root": 155, "prctl": 157, "arch_prctl": 158, "adjtimex": 159,
    "setrlimit": 160, "chroot": 161, "settimeofday": 164, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169,
    "sethostname": 170, "iopl": 172, "ioperm": 173, "init_module": 175, "setxattr": 188, "tkill": 200, "io_setup": 206,
    "mbind": 237, "mq_open": 240, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "migrate_pages": 256, "fchownat": 260, "linkat": 265, "symlinkat": 266, "fchmodat": 268, "unshare": 272,
    "splice": 275, "utimensat": 280, "timerfd_create": 283, "perf_event_open": 298, "name_to_handle_at": 303,
    "open_by_handle_at": 304, "clock_adjtime": 305, "clock_settime": 227, "setns": 308, "process_vm_readv": 310,
    "process_vm_writev": 311, "kcmp": 312, "finit_module": 313, "renameat2": 316, "seccomp": 317, "memfd_create": 319,
    "bpf": 321, "execveat": 322, "userfaultfd": 323, "pidfd_send_signal": 424, "io_uring_setup": 425,
    "io_uring_enter": 426, "io_uring_register": 427, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "pidfd_open": 434, "openat2": 437, "pidfd_getfd": 438, "process_madvise": 440, "landlock_create_ruleset": 444,
    "memfd_secret": 447, "fchmodat2": 452, "setxattrat": 463,
}  # fmt: skip


@needs_x86
def test_every_call_that_it_does_not_need_is_refused(folder: Path) -> None:
    attempt = (
        "libc = ctypes.CDLL(None, use_errno=True); "
        "print([name for name, number in {calls!r}.items() if libc.syscall(number, -1, -1, -1, -1, -1, -1) != -1 "
        "or ctypes.get_errno() != errno.EPERM])"
    )
    done = captured(folder, attempt.format(calls=RAW_CALLS), without=FILTER_ALONE)
    assert done.stdout == "[]\n", done.stderr


@needs_x86
@pytest.mark.parametrize("number", [0x40000000 + 41, 0x40000000 + 1])
def test_the_second_table_of_calls_ends_it(folder: Path, number: int) -> None:
    done = captured(folder, f"ctypes.CDLL(None).syscall({number}, 1, 1, 1)")
    assert done.returncode == -signal.SIGSYS


def test_a_library_that_ends_itself_does_so(folder: Path) -> None:
    assert captured(folder, "os.abort()").returncode != 0


@needs_root
def test_as_root_it_becomes_a_user_that_owns_nothing_else(tmp_path: Path) -> None:
    """Where Python can be read by everybody, which this machine's may not be: so the step alone, in a fork."""
    (tmp_path / "own").mkdir()
    (tmp_path / "others").touch()
    tmp_path.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path; from portal.sandbox import namespaces\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "assert not namespaces.become_nobody([], [Path('/root')]) and os.geteuid() == 0\n"
        "assert namespaces.become_nobody([Path('own')], [Path('/usr')])\n"
        "print(os.getresuid(), os.getgroups(), os.stat('own').st_uid == os.getuid())\n"
        "for call in (lambda: os.chmod('others', 0o777), lambda: os.setuid(0), lambda: os.kill(os.getppid(), 0)):\n"
        "    try: call(); print('done')\n"
        "    except PermissionError: print('refused')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=process.ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "(61347, 61347, 61347) [] True\nrefused\nrefused\nrefused\n", done.stderr


@pytest.fixture
def everybodys_python() -> Path:
    """The system's own, which root's child can still read once it is a user of its own."""
    system = Path("/usr/bin/python3")
    probe = "import sys; sys.exit(sys.version_info < (3, 11))"
    if not system.exists() or subprocess.run([system, "-c", probe], check=False).returncode:
        pytest.skip("the system has no Python of its own")
    if any(not parent.stat().st_mode & 0o001 for parent in (process.ROOT, *process.ROOT.parents)):
        pytest.skip("the checkout lies in a folder that only its owner enters")
    return system


@needs_root
def test_as_root_with_a_python_that_everybody_reads_it_is_a_user_of_its_own(
    folder: Path, everybodys_python: Path
) -> None:
    attempt = "print(layers.own_user, os.getuid(), os.getpid())"
    done = captured(folder, attempt, python=everybodys_python)
    assert done.stdout == "True 61347 1\n", done.stderr


def test_whatever_a_child_started_ends_with_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of a kernel that can't keep it from starting processes: its group is killed."""
    mark = f"1{os.getpid()}7"
    monkeypatch.setattr(process, "COMMAND", ("/bin/sh", "-c", f"sleep {mark} & sleep {mark}"))
    limits = confinement.SandboxLimits(1 << 30, 5, 1)
    began = time.monotonic()
    done = process.run(process.Call("none:none", {}, tmp_path, source="source", out_dir="out", limits=limits))
    assert done.timed_out and time.monotonic() - began < 5
    assert not [each for each in psutil.process_iter(["cmdline"]) if mark in (each.info["cmdline"] or [])]


def test_what_goes_on_after_its_parent_was_killed_ends_by_itself(folder: Path) -> None:
    program = textwrap.dedent(PROGRAM.format(folder=str(folder), before="", attempt="time.sleep(60)"))
    child = subprocess.Popen([sys.executable, "-E", "-s", "-c", program], cwd=process.ROOT, env=process.ENVIRONMENT)
    deadline = time.monotonic() + 20
    while not (inner := psutil.Process(child.pid).children()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.kill()
    child.wait()
    gone, _ = psutil.wait_procs(inner, timeout=10)
    assert gone == inner


def test_python_needs_no_folder_of_the_checkout_but_its_package() -> None:
    assert process.ROOT not in landlock.programs()


FORKS = """
started = []
try:
    while len(started) < 300:
        started.append(os.fork())
        if not started[-1]:
            os.closerange(0, 3)
            time.sleep(20)
            os._exit(0)
except OSError:
    pass
for each in started:
    os.kill(each, signal.SIGKILL)
print(len(started))
"""


def test_without_the_filter_it_starts_at_most_so_many_processes(folder: Path, everybodys_python: Path) -> None:
    """As a user of its own: of root's processes the kernel counts none (RLIMIT_NPROC, getrlimit(2))."""
    done = captured(folder, f"exec({FORKS!r})", without=NO_SECCOMP, python=everybodys_python)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < confinement._MAX_THREADS


def test_no_decoder_is_imported_before_the_child_is_confined(folder: Path) -> None:
    """A library that runs code of its own when it is loaded would do so without the sandbox."""
    program = (
        "import sys; from portal.sandbox import child, confinement\n"
        "decoders = ('PIL', 'pypdfium2', 'pillow_heif', 'pi_heif', 'rawpy', 'av', 'numpy', 'portal.previews')\n"
        "confinement.confine = lambda *_: sys.exit(str([each for each in decoders if each in sys.modules]))\n"
        "child.main()"
    )
    limits = renderer.sandbox_limits(Limits())
    call = process.Call(renderer.FUNCTION, {}, folder, source="source", out_dir="out", limits=limits)
    command = [sys.executable, "-E", "-s", "-c", program]
    done = subprocess.run(
        command, input=call.as_json(), cwd=process.ROOT, env=process.ENVIRONMENT, capture_output=True, check=False
    )
    assert renderer.FUNCTION.startswith("portal.previews") and done.stderr == b"[]\n", done.stderr


def test_every_previews_child_is_confined(tmp_path: Path) -> None:
    """The renderer's own requests, not only the ones of these tests."""
    (tmp_path / "source").write_bytes(b"no picture")
    (tmp_path / "out").mkdir()
    asked = renderer.argument("source", "out", "image/jpeg", Limits())
    limits = renderer.sandbox_limits(Limits())
    done = process.run(process.Call(renderer.FUNCTION, asked, tmp_path, source="source", out_dir="out", limits=limits))
    assert done.answer is not None
    found = done.answer["layers"]
    assert found["seccomp"] and found["landlock"] and found["namespaces"]


def test_the_doctor_learns_what_is_missing() -> None:
    missing = layers.missing()
    assert all("user of its own" in words for words in missing), missing
