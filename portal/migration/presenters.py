"""Moves as the pages show them: the state in words, which buttons there are, and how often a page asks for news."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from flask import url_for
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.migration.models import Move, MoveState
from portal.migration.progress import Progress, Stayed, list_stayed, progress_of
from portal.sizes import format_size
from portal.web.formats import number, percent

PAGE_POLL_SECONDS, LINE_POLL_SECONDS = 3, 10  # while a worker copies or removes files
MB = 1024 * 1024


@dataclass(frozen=True)
class Action:
    """A button of the page; ``question`` None: it is done without asking first."""

    name: str
    label: str
    icon: str
    style: str = "btn-outline-secondary"
    question: str | None = None
    confirm_tone: str = "primary"


@dataclass(frozen=True)
class MovePage:
    """One move. ``poll_url`` None: nothing but a person will change it. ``announcement`` is for screen readers.

    ``speed_limit`` is what the form shows, None: there is no form.
    """

    id: UUID
    title: str
    state: str
    progress: Progress
    poll_url: str | None
    percent: int | None
    waiting_for: str | None
    review: str | None
    head_actions: list[Action]
    review_actions: list[Action]
    files: str
    size: str
    speed: str | None
    time_left: str | None
    speed_limit: str | None
    stayed: list[Stayed]
    stayed_title: str
    announcement: str | None = None
    poll_seconds: int = PAGE_POLL_SECONDS


@dataclass(frozen=True)
class MoveLine:
    """The unfinished move in one line, for the pages of the storage."""

    id: UUID
    title: str
    hint: str
    poll_url: str | None
    poll_seconds: int = LINE_POLL_SECONDS


@dataclass(frozen=True)
class MoveRow:
    """A move in the list."""

    id: UUID
    progress: Progress
    state: str
    moved: str


def is_waiting(move: Move) -> bool:
    """Does it copy, but can't go on now?"""
    return move.state is MoveState.COPYING and move.waiting_for is not None


def page_of_move(move: Move, seen: str | None = None) -> MovePage:
    """``seen``: the phase that the browser shows; another one by now is announced. None: nothing is."""
    progress = progress_of(move)
    phase = "waiting" if is_waiting(move) else move.state.value
    state = _state(progress)
    works = move.state in (MoveState.COPYING, MoveState.CLEARING)
    unfinished = move.state in (MoveState.COPYING, MoveState.PAUSED)
    target, source = progress.target.name, progress.source.name
    return MovePage(
        id=move.id,
        title=_("Back to “%(name)s”", name=target) if move.rolled_back else _("Moving to “%(name)s”", name=target),
        state=state,
        progress=progress,
        poll_url=url_for("migration.show", workspace_id=move.workspace_id, move_id=move.id, seen=phase)
        if works
        else None,
        percent=progress.percent if unfinished else None,
        waiting_for=_("%(reason)s It continues by itself.", reason=move.waiting_for) if is_waiting(move) else None,
        review=_(
            "Files are now read from “%(target)s”. Open a few of them; when all is well, remove the old copies in "
            "“%(source)s”.",
            target=target,
            source=source,
        )
        if move.state is MoveState.COPIED
        else None,
        head_actions=_head_actions(progress),
        review_actions=_review_actions(progress),
        files=_of(number(move.moved_files), number(max(move.total_files, move.moved_files))),
        size=_of(format_size(move.moved_bytes), format_size(max(move.total_bytes, move.moved_bytes))),
        speed=_speed(progress) if move.state is MoveState.COPYING else None,
        time_left=_time_left(progress.left) if move.state is MoveState.COPYING else None,
        speed_limit=_speed_limit(move) if unfinished else None,
        stayed=list_stayed(move),
        stayed_title=ngettext(
            "%(num)s file stayed where it was", "%(num)s files stayed where they were", progress.failed_files
        ),
        announcement=state if seen is not None and seen != phase else None,
    )


def line_of_move(move: Move) -> MoveLine:
    """What the pages of the storage say about an unfinished move."""
    progress = progress_of(move)
    target, source = progress.target.name, progress.source.name
    hint = _("Every file can be opened all the time.")
    if is_waiting(move):
        title, hint = _("The move to “%(name)s” is waiting", name=target), str(move.waiting_for)
    elif move.state is MoveState.COPYING:
        title = _("Files move to “%(name)s”: %(percent)s", name=target, percent=percent(progress.percent))
    elif move.state is MoveState.PAUSED:
        title = _("The move to “%(name)s” is paused at %(percent)s", name=target, percent=percent(progress.percent))
    elif move.state is MoveState.COPIED:
        title = _("The files were copied to “%(name)s”", name=target)
        hint = _("The old copies in “%(name)s” stay until you remove them.", name=source)
    else:
        title = _("Old copies in “%(name)s” are being removed", name=source)
    works = move.state in (MoveState.COPYING, MoveState.CLEARING)
    poll_url = url_for("migration.unfinished", workspace_id=move.workspace_id) if works else None
    return MoveLine(move.id, title, hint, poll_url)


def row_of_move(move: Move) -> MoveRow:
    """A line of the list."""
    files = ngettext("%(num)s file", "%(num)s files", move.moved_files)
    progress = progress_of(move)
    state = _("Waiting for your review") if move.state is MoveState.COPIED else _state(progress)
    return MoveRow(move.id, progress, state, f"{files}, {format_size(move.moved_bytes)}")


def _state(progress: Progress) -> str:
    move = progress.move
    if is_waiting(move):
        return _("Waiting")
    if move.state is MoveState.COPYING:
        return _("Moving, %(percent)s", percent=percent(progress.percent))
    if move.state is MoveState.PAUSED:
        return _("Paused at %(percent)s", percent=percent(progress.percent))
    if move.state is MoveState.COPIED:
        if progress.failed_files:
            return _("Copied, except for the files listed below")
        return _("All files are copied and verified")
    return _("Removing the old copies") if move.state is MoveState.CLEARING else _("Done")


def _head_actions(progress: Progress) -> list[Action]:
    state, actions = progress.move.state, []
    if state is MoveState.COPYING:
        actions.append(Action("pause", _("Pause"), "player-pause"))
    if state is MoveState.PAUSED:
        actions.append(Action("resume", _("Resume"), "player-play", "btn-primary"))
    if state in (MoveState.COPYING, MoveState.PAUSED, MoveState.COPIED):
        question = _(
            "Every file goes back to “%(name)s”, also those that were uploaded in the meantime. Nothing is lost, and "
            "files can be opened all the time.",
            name=progress.source.name,
        )
        actions.append(Action("rollback", _("Move everything back"), "arrow-back-up", question=question))
    return actions


def _review_actions(progress: Progress) -> list[Action]:
    if progress.move.state is not MoveState.COPIED:
        return []
    question = ngettext(
        "The old copy of %(num)s file in “%(name)s” is removed. This can't be undone.",
        "The old copies of %(num)s files in “%(name)s” are removed. This can't be undone.",
        progress.move.moved_files,
        name=progress.source.name,
    )
    actions = [Action("confirm", _("Remove the old copies"), "trash-x", "btn-danger", question, "danger")]
    if progress.failed_files:
        actions.append(Action("retry", _("Try the remaining files again"), "refresh"))
    return actions


def _of(moved: str, total: str) -> str:
    return _("%(moved)s of %(total)s", moved=moved, total=total)


def _speed(progress: Progress) -> str:
    speed, limit = progress.bytes_per_second, progress.move.bytes_per_second
    now = _("%(size)s a second", size=format_size(int(speed))) if speed else "–"
    return f"{now} ({_('at most %(size)s', size=format_size(limit))})" if limit else now


def _speed_limit(move: Move) -> str:
    return f"{move.bytes_per_second / MB:g}" if move.bytes_per_second else ""


def _time_left(left: timedelta | None) -> str:
    if left is None:
        return "–"
    seconds = left.total_seconds()
    if seconds < 90:
        return _("about a minute")
    if seconds < 90 * 60:
        minutes = round(seconds / 60)
        return ngettext("about %(num)s minute", "about %(num)s minutes", minutes)
    return ngettext("about %(num)s hour", "about %(num)s hours", round(seconds / 3600))
