"""Keeps services alive: starts again what dies, with growing pauses, and gives up in plain sight."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import FrameType

from portal.embedded.faults import StackError
from portal.embedded.processes import ENGINES, adopt_orphans, bury, end_adopted
from portal.embedded.service import Service

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # seconds before each new start; after the last one we give up
START_SECONDS = 60.0  # in which what is waited for has to be ready
STEADY = 60.0  # seconds alive after which earlier deaths are forgotten
STILLBORN = 3  # deaths while everything starts that end the start
HURRY = 2  # the second Ctrl-C
TRIM = 60.0  # seconds between two looks at the length of the logs
TICK = 0.2  # seconds between two looks
GLANCE = 2.0  # seconds between two looks at what needs no quick answer
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Condition(StrEnum):
    """How one service is."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting to start again"
    GIVEN_UP = "given up"


@dataclass
class Watched:
    """One service and what became of it."""

    service: Service
    condition: Condition = Condition.STARTING
    started_at: float = field(default_factory=time.monotonic)
    deaths: int = 0
    starts_at: float = 0.0


class Supervisor:
    """Watches services from one thread. ``say`` shows a line to the person, ``changed`` is told of every change."""

    def __init__(
        self,
        say: Callable[[str], None],
        changed: Callable[[], None] = lambda: None,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self.watched: list[Watched] = []
        self.errands: list[Service] = []
        self.postponed: list[tuple[Service, Callable[[], bool]]] = []
        self.heeded: list[Callable[[], None]] = []
        self.say = say
        self.changed = changed
        self.pauses = pauses
        self.stop_asked = 0
        self.in_charge = False

    def take_charge(self) -> None:
        """Make this process the supervisor: what it starts and what that starts is its own, until the end.

        Ctrl-C, SIGTERM and a closed terminal ask it to stop; a second one hurries.
        """
        self.in_charge = True
        adopt_orphans()
        for number in STOP_SIGNALS:
            signal.signal(number, self._asked_to_stop)

    def add(self, service: Service) -> None:
        """Start a service and watch it from now on. Raises ``StackError`` when its program can't be run."""
        service.start()
        self.watched.append(Watched(service))

    def add_when(self, service: Service, can_start: Callable[[], bool]) -> None:
        """Add a service now, or as soon as it can start; that is looked at every few seconds."""
        if can_start():
            self.add(service)
        else:
            self.postponed.append((service, can_start))

    def add_errand(self, service: Service) -> None:
        """Start a command that runs once; it is ended with the rest if it has not ended by then."""
        service.start()
        self.errands.append(service)

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
        """Watch until ``done()``. Raises ``StackError`` when ``what`` takes longer, or when we are asked to stop."""
        deadline = time.monotonic() + seconds
        while not done():
            self.look()
            if self.stop_asked:
                raise StackError("Stopped before it was ready.")
            if time.monotonic() > deadline:
                raise StackError(f"{what} took longer than {seconds:.0f} s. The logs are in the data folder's log/.")
            time.sleep(0.02)

    def wait_for(self, services: list[Service]) -> None:
        """Watch until all of these are ready. Raises ``StackError`` when one does not start."""
        ours = [one for one in self.watched if one.service in services]

        def done() -> bool:
            for one in ours:
                if one.condition is Condition.GIVEN_UP or one.deaths >= STILLBORN:
                    raise StackError(f"{one.service.name} does not start. {one.service.log_tail()}".rstrip())
            return all(one.condition is Condition.RUNNING for one in ours)

        self.wait(done, START_SECONDS, f"Starting {', '.join(service.name for service in services)}")

    def run(self) -> None:
        """Watch until we are asked to stop."""
        trimmed_at = glanced_at = 0.0
        while not self.stop_asked:
            self.look()
            if time.monotonic() - glanced_at > GLANCE:
                glanced_at = time.monotonic()
                self._glance()
            if time.monotonic() - trimmed_at > TRIM:
                trimmed_at = time.monotonic()
                for one in self.watched:
                    with contextlib.suppress(OSError):  # no room to set it aside
                        one.service.trim_log()
            time.sleep(TICK)

    def _glance(self) -> None:
        """What needs no quick answer: who can start by now, and what somebody has asked for."""
        for postponed in list(self.postponed):
            service, can_start = postponed
            if can_start():
                self.postponed.remove(postponed)
                self.add(service)
                self.say(f"{service.name} is started: it has what it needs by now.")
                self.changed()
        for heed in self.heeded:
            heed()

    def look(self) -> None:
        """One look at each service."""
        before = [(one.condition, one.deaths) for one in self.watched]
        for one in self.watched:
            self._look_at(one)
        self._look_at_errands()
        if self.in_charge:
            ours = [*self.errands, *(one.service for one in self.watched)]
            bury({service.process.pid for service in ours if service.process})
        if before != [(one.condition, one.deaths) for one in self.watched]:
            self.changed()

    def stop(self) -> None:
        """Stop all: what uses the engines first. Nothing that we or they started remains."""
        services = [*self.errands, *(one.service for one in self.watched)]
        for group in ([s for s in services if s.name not in ENGINES], [s for s in services if s.name in ENGINES]):
            for service in group:
                service.ask_to_stop()
            for service in group:
                self._stop_patiently(service)
        if self.in_charge:
            end_adopted()

    def _stop_patiently(self, service: Service) -> None:
        deadline = time.monotonic() + service.stop_seconds
        while service.running() and self.stop_asked < HURRY and time.monotonic() < deadline:
            time.sleep(0.02)
        service.stop(patience=0.0)

    def _asked_to_stop(self, _number: int, _frame: FrameType | None) -> None:
        self.stop_asked += 1

    def _look_at_errands(self) -> None:
        for errand in [errand for errand in self.errands if not errand.running()]:
            self.errands.remove(errand)
            errand.pid_file.unlink(missing_ok=True)
            if errand.process and errand.process.returncode:
                self.say(f"{errand.name} failed with code {errand.process.returncode}; the reason stands above.")

    def _look_at(self, one: Watched) -> None:
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
        elif present - one.started_at > STEADY:
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
        except OSError as error:  # a disk that is full must not take along what still runs
            self.say(f"Starting {one.service.name}: {error.strerror or error}. If it ends, it is tried again.")
