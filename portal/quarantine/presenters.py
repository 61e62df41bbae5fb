"""Quarantined files and decisions as the pages show them: labels, sentences, and which controls a page offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext
from flask_babel.speaklater import LazyString

from portal import sizes
from portal.inspection.scan_policy import ScanRules
from portal.quarantine.context import PastDecision, UploadHistory
from portal.quarantine.decisions import Action, DecisionResult
from portal.quarantine.service import Groups, QuarantinedFile
from portal.web.formats import percent
from portal.web.state_mark import StateMark

Tone = Literal["good", "warn", "bad", "busy", "wait", "calm"]
NAMED_FILES = 10  # that the question before a decision lists; the others are counted
ROW_POLL_SECONDS, PAGE_POLL_SECONDS = 4, 3  # while a worker has the file


@dataclass(frozen=True)
class Alert:
    """A box with an icon; ``level`` is ``warning`` or ``danger``."""

    level: str
    icon: str
    text: str


@dataclass(frozen=True)
class Row:
    """One file of the list. ``poll_seconds``: how often the row asks for itself, None when nothing will change it."""

    file: QuarantinedFile
    reason: StateMark
    order: StateMark | None
    proposal: str | None
    copies: str | None
    poll_seconds: int | None


@dataclass(frozen=True)
class FilterChoice:
    """An option of a filter; ``value`` None: how many more there are, not to be chosen."""

    value: str | None
    text: str
    is_selected: bool = False


@dataclass(frozen=True)
class HistoryEntry:
    """A decision as a sentence; ``quote`` is what the person gave as the reason."""

    decision: PastDecision
    sentence: str
    quote: str | None


@dataclass(frozen=True)
class Button:
    """A decision that the page of a file offers."""

    action: Action
    text: str
    icon: str
    css_class: str = ""


@dataclass(frozen=True)
class Question:
    """What is asked before a decision. Without ``is_possible`` there is no form: nothing of it would be carried out.

    ``gone`` says how many of the chosen files are not in quarantine any more, ``warnings`` what will be refused.
    ``shows_rules``: a link to the rules helps; ``confirm_infected``: the label of a box that must be checked.
    """

    action: Action
    title: str
    explanation: str
    files: Sequence[QuarantinedFile]
    named: Sequence[Row]
    more: str | None
    gone: str | None
    warnings: Sequence[Alert]
    shows_rules: bool
    confirm_infected: str | None
    is_possible: bool
    button: str
    button_class: str

    @property
    def is_scan(self) -> bool:
        """Whether it asks for the time of a new scan."""
        return self.action in ("rescan", "rescan_later")


_REASONS: dict[str, tuple[Tone, str, LazyString]] = {
    "infected": ("bad", "shield-x", _l("Virus found")),
    "too_large": ("warn", "shield-question", _l("Too large to scan")),
    "encrypted": ("warn", "lock", _l("Encrypted")),
    "macros": ("warn", "shield-question", _l("Contains macros")),
    "unscannable": ("warn", "shield-question", _l("Could not be scanned")),
    "clean_now": ("good", "shield-check", _l("Clean after another scan")),
}


def reason_mark(code: str | None) -> StateMark:
    """Why a file is in quarantine."""
    tone, icon, text = _REASONS.get(code or "", ("warn", "shield-question", _l("Quarantined")))
    return StateMark(tone, icon, str(text))


def order_mark(order: str | None) -> StateMark | None:
    """What a worker is about to do with a file."""
    match order:
        case None:
            return None
        case "rescan_later":
            return StateMark("wait", "clock", _("Scanned again after the next signature update"))
        case "rescan":
            return StateMark("busy", "loader-2", _("Being scanned again…"), spins=True)
    return StateMark("busy", "loader-2", _("Being released…"), spins=True)


def row(item: QuarantinedFile) -> Row:
    """A file of the list."""
    copies = ngettext("%(num)s copy elsewhere", "%(num)s copies elsewhere", item.elsewhere) if item.elsewhere else None
    is_proposed = item.proposed_by is not None and item.order is None
    return Row(
        file=item,
        reason=reason_mark(item.code),
        order=order_mark(item.order),
        proposal=_("%(name)s proposes to release it", name=item.proposer) if is_proposed else None,
        copies=copies,
        poll_seconds=ROW_POLL_SECONDS if _is_with_a_worker(item) else None,
    )


def page_poll_seconds(item: QuarantinedFile) -> int | None:
    """How often the page of a file asks for itself, or None."""
    return PAGE_POLL_SECONDS if _is_with_a_worker(item) else None


def _is_with_a_worker(item: QuarantinedFile) -> bool:
    # "Later" waits for new signatures, perhaps for days: asking every few seconds would be pointless.
    return item.order is not None and item.order != "rescan_later"


def filter_choices(groups: Groups, chosen: object, *, are_reasons: bool = False) -> list[FilterChoice]:
    """The options of one filter, and how many more there are."""
    selected = str(chosen or "")
    choices = [
        FilterChoice(
            group.key,
            f"{reason_mark(group.key).words if are_reasons else group.name} ({group.count})",
            is_selected=group.key == selected,
        )
        for group in groups.listed
    ]
    if groups.more:
        choices.append(FilterChoice(None, ngettext("… and %(num)s more", "… and %(num)s more", groups.more)))
    return choices


def history(decisions: Sequence[PastDecision]) -> list[HistoryEntry]:
    """The decisions about a file. A worker's result is part of its sentence, a person's reason is quoted."""
    return [
        HistoryEntry(
            each,
            f"{_decision_text(each)}: {each.reason}" if each.kind == "outcome" else _decision_text(each),
            None if each.kind == "outcome" else each.reason,
        )
        for each in decisions
    ]


_DECISIONS = {
    "rescan": _l("ordered another scan"),
    "delete": _l("deleted it"),
    "propose": _l("proposed to release it"),
    "release": _l("ordered its release"),
    "block": _l("blocked the uploader"),
    "unblock": _l("unblocked the uploader"),
    "download": _l("downloaded the encrypted file"),
    "outcome": _l("Result"),
}


def _decision_text(decision: PastDecision) -> str:
    if decision.kind == "rescan" and decision.facts.get("when") == "later":
        return _("ordered another scan after the next signature update")
    return str(_DECISIONS.get(decision.kind, decision.kind))


def buttons(item: QuarantinedFile) -> list[Button]:
    """The decisions that the page of a file offers."""
    blocked = item.uploaded_by.blocked is not None
    return [
        Button("rescan", _("Scan again"), "refresh"),
        Button("release", _("Confirm the release") if item.proposed_by else _("Release"), "shield-check"),
        Button("unblock", _("Unblock uploader"), "user") if blocked else Button("block", _("Block uploader"), "user"),
        Button("delete", _("Delete now"), "trash-x", "btn-outline-danger"),
    ]


def same_content(counts: dict[str, int]) -> list[str]:
    """How many other files have the same content, one sentence for each state."""
    return [_same_content(state, count) for state, count in counts.items()]


def _same_content(state: str, count: int) -> str:
    match state:
        case "available":
            return ngettext("%(num)s available file", "%(num)s available files", count)
        case "quarantined":
            return ngettext("%(num)s file in quarantine", "%(num)s files in quarantine", count)
        case "deleted":
            return ngettext("%(num)s file in the trash", "%(num)s files in the trash", count)
        case "failed":
            return ngettext("%(num)s rejected file", "%(num)s rejected files", count)
    return ngettext("%(num)s file being checked", "%(num)s files being checked", count)


def upload_history(uploads: UploadHistory) -> str:
    """The uploader's newest files, and how many of them were bad."""
    counted = ngettext("%(num)s file", "%(num)s files", uploads.counted)
    bad = _(
        "%(quarantined)s quarantined, %(failed)s rejected (%(percent)s)",
        quarantined=uploads.quarantined,
        failed=uploads.failed,
        percent=percent(uploads.percent),
    )
    return f"{counted}: {bad}"


def question(
    action: Action,
    items: Sequence[QuarantinedFile],
    *,
    chosen: int,
    me: UUID,
    tenant_name: str,
    rules: ScanRules,
) -> Question:
    """The question before a decision about ``items``, of ``chosen`` files that were selected."""
    own = [item for item in items if item.uploaded_by.id == me] if action == "release" else []
    infected = [item for item in items if item.code == "infected"] if action == "release" else []
    refused = own if rules.release_infected else own + infected
    is_possible = action != "release" or len({item.asset_id for item in refused}) < len(items)
    more = len(items) - NAMED_FILES
    return Question(
        action=action,
        title=_title(action, items, is_possible) if items else _("There is nothing left to decide"),
        explanation=_explanation(action, rules, tenant_name) if is_possible else _way_out(len(items), bool(infected)),
        files=items,
        named=[row(item) for item in items[:NAMED_FILES]],
        more=ngettext("… and %(num)s more", "… and %(num)s more", more) if more > 0 else None,
        gone=_gone(chosen - len(items)),
        warnings=_warnings(len(own), 0 if rules.release_infected else len(infected), is_single=len(items) == 1),
        shows_rules=bool(infected) and not rules.release_infected,
        confirm_infected=_confirm_infected(len(infected), is_single=len(items) == 1)
        if rules.release_infected and infected
        else None,
        is_possible=is_possible,
        button=_button(action),
        button_class="btn-danger" if action in ("delete", "block") else "btn-primary",
    )


def _title(action: Action, items: Sequence[QuarantinedFile], is_possible: bool) -> str:
    count, size = len(items), sizes.format_size(sum(item.size_bytes for item in items))
    people = sorted({item.uploaded_by.display_name for item in items})
    names = ", ".join(people)
    match action:
        case "rescan" | "rescan_later":
            return ngettext("Scan %(num)s file again?", "Scan %(num)s files again?", count)
        case "delete":
            return ngettext("Delete %(num)s file, %(size)s?", "Delete %(num)s files, %(size)s?", count, size=size)
        case "release" if not is_possible:
            return ngettext("%(num)s file can’t be released", "%(num)s files can’t be released", count)
        case "release":
            return ngettext("Release %(num)s file, %(size)s?", "Release %(num)s files, %(size)s?", count, size=size)
        case "block":
            return ngettext("Block %(who)s?", "Block %(num)s people?", len(people), who=names)
        case "unblock":
            return ngettext("Unblock %(who)s?", "Unblock %(num)s people?", len(people), who=names)


def _explanation(action: Action, rules: ScanRules, tenant_name: str) -> str:
    match action:
        case "rescan" | "rescan_later":
            return _(
                "The new result is added to the list of decisions. Whatever it is, nothing leaves the quarantine until "
                "an administrator decides."
            )
        case "delete":
            return _("They are deleted permanently, and their space is free in a moment. This can’t be undone.")
        case "release":
            text = _(
                "Each file is scanned once more. Then it is available to everybody in its workspace. It stays marked "
                "as released from quarantine, with the name of who released it."
            )
            if not rules.two_persons:
                return text
            both = _("Your tenant requires two people: you propose the release, another administrator confirms it.")
            return f"{text} {both}"
        case "block":
            return _(
                "They can still view and download files, but can’t upload in %(tenant)s until somebody unblocks them. "
                "They see your reason.",
                tenant=tenant_name,
            )
        case "unblock":
            return _("They can upload again.")


def _way_out(count: int, has_infected: bool) -> str:
    """What to do about files that can't be released."""
    if not has_infected:
        return _("Another administrator must decide about files that you uploaded.")
    return ngettext(
        "A later scan may find it clean. Scan it again after the next signature update, or delete it.",
        "A later scan may find them clean. Scan them again after the next signature update, or delete them.",
        count,
    )


def _gone(count: int) -> str | None:
    if count <= 0:
        return None
    return ngettext(
        "%(num)s of the chosen files is not in quarantine any more. Somebody else has decided about it, or it was "
        "removed.",
        "%(num)s of the chosen files are not in quarantine any more. Somebody else has decided about them, or they "
        "were removed.",
        count,
    )


def _warnings(own: int, infected: int, *, is_single: bool) -> list[Alert]:
    """What will be refused, of files that are to be released."""
    warnings = []
    if own and is_single:
        warnings.append(Alert("warning", "alert-triangle", _("You uploaded this file yourself. You can’t release it.")))
    elif own:
        text = ngettext(
            "You uploaded %(num)s of them yourself. You can’t release that one.",
            "You uploaded %(num)s of them yourself. You can’t release those.",
            own,
        )
        warnings.append(Alert("warning", "alert-triangle", text))
    if infected and is_single:
        text = _("This file is infected. The rules of this tenant do not allow its release.")
        warnings.append(Alert("danger", "shield-x", text))
    elif infected:
        text = ngettext(
            "%(num)s of them is infected. The rules of this tenant do not allow its release.",
            "%(num)s of them are infected. The rules of this tenant do not allow their release.",
            infected,
        )
        warnings.append(Alert("danger", "shield-x", text))
    return warnings


def _confirm_infected(count: int, *, is_single: bool) -> str:
    if is_single:
        return _("Release it anyway, although it is infected")
    return ngettext(
        "Release anyway: %(num)s of them is infected", "Release anyway: %(num)s of them are infected", count
    )


def _button(action: Action) -> str:
    match action:
        case "rescan" | "rescan_later":
            return _("Scan again")
        case "delete":
            return _("Delete now")
        case "release":
            return _("Release")
        case "block":
            return _("Block")
        case "unblock":
            return _("Unblock")


def result_messages(results: Sequence[DecisionResult]) -> list[tuple[str, str]]:
    """(text, category) to flash after a decision: one for what was done, one for each kind of refusal."""
    messages = []
    done = [each for each in results if each.done]
    if len(done) == 1:
        messages.append((done[0].message, "success"))
    elif done:
        text = ngettext("Done for %(num)s file.", "Done for %(num)s files.", len(done))
        messages.append((f"{text} {done[0].message}", "success"))
    refused = [each.message for each in results if not each.done]
    for reason in dict.fromkeys(refused):
        count = refused.count(reason)
        several = ngettext("%(num)s file: %(reason)s", "%(num)s files: %(reason)s", count, reason=reason)
        messages.append((reason if len(results) == 1 else several, "warning"))
    return messages
