"""Keeps services running: restarts what ends, with growing pauses, and says so when it gives up."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import FrameType

from portal.embedded.faults import StackError
from portal.embedded.processes import ENGINES, become_subreaper, kill_descendants, reap
from portal.embedded.service import Service

RESTART_PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before each restart; after the last one we give up
START_SECONDS = 60.0  # in which a service has to be ready
STABLE_SECONDS = 60.0  # alive after which earlier failures do not count
MAX_STARTUP_FAILURES = 3  # of one service, after which the start of the stack has failed
SIGNALS_TO_HURRY = 2  # the second Ctrl-C kills what has not ended yet
LOG_TRIM_SECONDS = 60.0  # between two checks of the length of the logs
POLL_SECONDS = 0.2
SLOW_POLL_SECONDS = 2.0  # for what needs no quick reaction
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Condition(StrEnum):
    """The condition of one service."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting to start again"
    GIVEN_UP = "given up"


@dataclass
class Watched:
    """One service and its condition."""

    service: Service
    condition: Condition = Condition.STARTING
    started_at: float = field(default_factory=time.monotonic)
    deaths: int = 0
    starts_at: float = 0.0


class Supervisor:
    """Watches services from one thread. ``say`` prints a line, ``changed`` is called after every change."""

    def __init__(
        self,
        say: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
        pauses: tuple[float, ...] = RESTART_PAUSES,
    ) -> None:
        self.watched: list[Watched] = []
        self.one_offs: list[Service] = []
        self.postponed: list[tuple[Service, Callable[[], bool]]] = []
        self.slow_polls: list[Callable[[], None]] = []
        self.say = say
        self.changed = changed
        self.pauses = pauses
        self.stop_signals = 0
        self.is_supervisor = False

    def become_supervisor(self) -> None:
        """Make this process the supervisor of everything that it starts and that those start.

        Ctrl-C, SIGTERM and a closed terminal ask it to stop; a second one makes it hurry.
        """
        self.is_supervisor = True
        become_subreaper()
        for number in STOP_SIGNALS:
            signal.signal(number, self._on_signal)

    def add(self, service: Service) -> None:
        """Start a service and watch it from now on. Raises ``StackError`` when its program can't be run."""
        service.start()
        self.watched.append(Watched(service))
        # At once, not with the next poll: whoever reads that the stack is ready finds all its processes in the state.
        self.changed()

    def add_when(self, service: Service, can_start: Callable[[], bool]) -> None:
        """Add a service now, or as soon as it can start; checked every ``SLOW_POLL_SECONDS``."""
        if can_start():
            self.add(service)
        else:
            self.postponed.append((service, can_start))

    def add_one_off(self, service: Service) -> None:
        """Start a command that runs once; if it is still running when the stack stops, it is stopped, too."""
        service.start()
        self.one_offs.append(service)

    def conditions(self) -> dict[str, dict[str, object]]:
        """Each service by name, for the state file."""
        return {
            one.service.name: {
                "condition": one.condition.value,
                "pid": one.service.process.pid if one.service.process else None,
                "deaths": one.deaths,
            }
            for one in self.watched
        }

    def wait(self, done: Callable[[], bool], seconds: float, what: str) -> None:
        """Watch until ``done()``. Raises ``StackError`` when that takes longer, or when we are asked to stop.

        ``what`` begins the sentence in which the error says so.
        """
        deadline = time.monotonic() + seconds
        while not done():
            self.poll()
            if self.stop_signals:
                raise StackError("Stopped before it was ready.")
            if time.monotonic() > deadline:
                raise StackError(f"{what} took longer than {seconds:.0f} s. The logs are in the data folder's log/.")
            time.sleep(0.02)

    def wait_for(self, services: list[Service]) -> None:
        """Watch until all of these are ready. Raises ``StackError`` when one does not start."""
        ours = [one for one in self.watched if one.service in services]

        def done() -> bool:
            for one in ours:
                if one.condition is Condition.GIVEN_UP or one.deaths >= MAX_STARTUP_FAILURES:
                    raise StackError(f"{one.service.name} does not start. {one.service.log_tail()}".rstrip())
            return all(one.condition is Condition.RUNNING for one in ours)

        self.wait(done, START_SECONDS, f"Starting {', '.join(service.name for service in services)}")

    def run(self) -> None:
        """Watch until we are asked to stop."""
        trimmed_at = polled_slowly_at = 0.0
        while not self.stop_signals:
            self.poll()
            if time.monotonic() - polled_slowly_at > SLOW_POLL_SECONDS:
                polled_slowly_at = time.monotonic()
                self._poll_slowly()
            if time.monotonic() - trimmed_at > LOG_TRIM_SECONDS:
                trimmed_at = time.monotonic()
                for one in self.watched:
                    with contextlib.suppress(OSError):  # no room to set it aside
                        one.service.trim_log()
            time.sleep(POLL_SECONDS)

    def _poll_slowly(self) -> None:
        """Start services that can be started by now, and call what was registered in ``slow_polls``."""
        for postponed in list(self.postponed):
            service, can_start = postponed
            if can_start():
                self.postponed.remove(postponed)
                self.add(service)
                self.say(f"{service.name} is started: what it needs is there now.")
        for poll in self.slow_polls:
            poll()

    def poll(self) -> None:
        """Check each service once."""
        before = [(one.condition, one.deaths) for one in self.watched]
        for one in self.watched:
            self._poll_one(one)
        self._reap_one_offs()
        if self.is_supervisor:
            ours = [*self.one_offs, *(one.service for one in self.watched)]
            reap({service.process.pid for service in ours if service.process})
        if before != [(one.condition, one.deaths) for one in self.watched]:
            self.changed()

    def stop(self) -> None:
        """Stop all, what uses the engines first. Nothing that we or they started remains."""
        services = [*self.one_offs, *(one.service for one in self.watched)]
        for group in ([s for s in services if s.name not in ENGINES], [s for s in services if s.name in ENGINES]):
            for service in group:
                service.ask_to_stop()
            for service in group:
                self._wait_and_stop(service)
        if self.is_supervisor:
            kill_descendants()

    def _wait_and_stop(self, service: Service) -> None:
        deadline = time.monotonic() + service.stop_seconds
        while service.running() and self.stop_signals < SIGNALS_TO_HURRY and time.monotonic() < deadline:
            time.sleep(0.02)
        service.stop(seconds=0.0)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_signals += 1

    def _reap_one_offs(self) -> None:
        for one_off in [one_off for one_off in self.one_offs if not one_off.running()]:
            self.one_offs.remove(one_off)
            one_off.pid_file.unlink(missing_ok=True)
            if one_off.process and one_off.process.returncode:
                self.say(f"{one_off.name} failed with code {one_off.process.returncode}; the reason is above.")

    def _poll_one(self, one: Watched) -> None:
        present = time.monotonic()
        if one.condition is Condition.GIVEN_UP:
            return
        if one.condition is Condition.WAITING:
            if present >= one.starts_at:
                self._start_again(one)
        elif not one.service.running():
            self._note_death(one)
        elif one.condition is Condition.STARTING:
            self._ask_whether_ready(one)
        elif present - one.started_at > STABLE_SECONDS:
            one.deaths = 0

    def _ask_whether_ready(self, one: Watched) -> None:
        try:
            ready = one.service.ready()
        except StackError as error:
            one.condition = Condition.GIVEN_UP
            self.say(str(error))
            return
        if ready:
            one.condition = Condition.RUNNING
            if one.deaths:
                self.say(f"{one.service.name} is back.")

    def _note_death(self, one: Watched) -> None:
        code = one.service.process.returncode if one.service.process else None
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with code {code}"
        if (later := one.service.pause_after_death) is not None:
            one.deaths += 1
            one.condition, one.starts_at = Condition.WAITING, time.monotonic() + later
            self.say(
                f"{one.service.name} {how}; it is tried again in {later / 60:.0f} minutes. {one.service.log_tail(3)}"
            )
            return
        if one.deaths >= len(self.pauses):
            one.condition = Condition.GIVEN_UP
            often = f"{one.deaths + 1} times in a row"
            self.say(
                f"{one.service.name} {how}, {often}. GIVEN UP; the rest runs on. {one.service.log_tail()}".rstrip()
            )
            return
        pause = self.pauses[one.deaths]
        one.deaths += 1
        one.condition, one.starts_at = Condition.WAITING, time.monotonic() + pause
        self.say(f"{one.service.name} {how}; starting it again in {pause:g} s. Its log: {one.service.log_file}")

    def _start_again(self, one: Watched) -> None:
        one.condition, one.started_at = Condition.STARTING, time.monotonic()
        try:
            one.service.start()
        except StackError as error:
            self.say(str(error))
        except OSError as error:  # a full disk must not end what still runs
            self.say(f"Starting {one.service.name}: {error.strerror or error}. If it ends, it is tried again.")
