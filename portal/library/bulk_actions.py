"""Moving, deleting and restoring several files and folders at once. The toast that says so offers to undo it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from uuid import UUID

from flask import Blueprint, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from portal.assets import bulk
from portal.errors import Invalid, Problem
from portal.folders import contents, libraries
from portal.folders.contents import Breadcrumbs
from portal.folders.forms import MOST_ASSETS
from portal.folders.service import Target
from portal.library import asset_list, moves
from portal.library.gallery import HERE, address_of, back, done, place, restored_message
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import is_fragment_wanted
from portal.web.paging import LARGEST, Paging

blueprint = Blueprint("chosen", __name__)


@blueprint.get(f"{HERE}/move")
@member(Permission.EDIT)
def where(member: Member) -> ResponseReturnValue:
    """Where to? One file or folder, which the address names."""
    return _chooser(member)


@blueprint.post(f"{HERE}/move")
@member(Permission.EDIT)
def move(member: Member) -> ResponseReturnValue:
    """Where to? For those that the form names; with ``into`` they are put there."""
    if not _ids("asset") and not _ids("folder"):
        flash(gettext("Choose at least one file first."), "warning")
        return redirect(url_for("library.index", workspace_id=member.workspace), 303)
    if "into" not in request.form:
        return _chooser(member)
    try:
        return _put(member, _ids("asset"), _ids("folder"), _place_of(request.form["into"]))
    except Problem as problem:
        if not is_fragment_wanted() or problem.http_status == 404:
            raise
        return make_response(_chooser(member, problem.detail), problem.http_status)


@blueprint.post(f"{HERE}/put-back")
@member(Permission.EDIT)
def put_back(member: Member) -> ResponseReturnValue:
    """Undo a move: each line says what lay where."""
    files: list[moves.Origin] = []
    # As many as one move can have moved: files and folders.
    for line in request.form.getlist("was")[: 2 * MOST_ASSETS]:
        kind, _, rest = line.partition(":")
        ids = [None if each == "-" else _id(each) for each in rest.split(":")]
        if len(ids) != 3 or ids[0] is None or ids[1] is None:
            raise _unreadable()
        if kind == "folder":
            moves.change_folder(member, ids[0], target=Target(ids[1], ids[2]))
        else:
            files.append(moves.Origin(ids[0], ids[1], ids[2]))
    # ``groupby`` needs them in order, and None, the top of a library, has none but as text.
    files.sort(key=lambda each: (str(each.library_id), str(each.folder_id)))
    for (library_id, folder_id), group in groupby(files, key=lambda each: each[1:]):
        # Undo what can be undone: a file that was quarantined meanwhile stays.
        these = [each.asset_id for each in group]
        moves.move_files(member, these, Target(library_id, folder_id), skip_quarantined=True)
    return back(member, gettext("Moved back."))


@blueprint.post(f"{HERE}/discard")
@member(Permission.EDIT)
def discard(member: Member) -> ResponseReturnValue:
    """Into the trash, as far as their state allows."""
    ids = _ids("asset")
    gone = bulk.discard_chosen(member, ids)
    words = ngettext("%(num)s file moved to the trash.", "%(num)s files moved to the trash.", len(gone))
    if staying := len(ids) - len(gone):
        words += " " + ngettext(
            "%(num)s is still being checked, or is in quarantine, and stays.",
            "%(num)s are still being checked, or are in quarantine, and stay.",
            staying,
        )
    undo_url = url_for(".restore", workspace_id=member.workspace) if gone else None
    undo_values = {"asset": [str(each.id) for each in gone]}
    return done(member, words, None, tone="calm", undo_url=undo_url, undo_values=undo_values)


@blueprint.post(f"{HERE}/restore")
@member(Permission.EDIT)
def restore(member: Member) -> ResponseReturnValue:
    """Out of the trash again."""
    restored = bulk.restore_chosen(member, _ids("asset"))
    if len(restored) == 1:
        return back(member, restored_message(member, restored[0].id))
    return back(member, ngettext("%(num)s file restored.", "%(num)s files restored.", len(restored)))


def _put(member: Member, assets: Sequence[UUID], folders: Sequence[UUID], target: Target) -> ResponseReturnValue:
    was: list[str] = []
    staying = 0
    if assets:
        lay = moves.move_files(member, assets, target, skip_quarantined=True)
        staying = len(assets) - len(lay)
        was += [f"asset:{each.asset_id}:{each.library_id}:{each.folder_id or '-'}" for each in lay]
    for folder_id in folders:
        before = libraries.find_folder(member.workspace, folder_id)
        was.append(f"folder:{folder_id}:{before.library_id}:{before.parent_id or '-'}")
        staying += moves.change_folder(member, folder_id, target=target).staying
    spot, _, _ = contents.browse(member.workspace, target.library_id, target.folder_id, Paging(1))
    words = ngettext("Moved to “%(place)s”.", "%(num)s moved to “%(place)s”.", len(was), place=spot.name)
    if staying:
        words += " " + ngettext(
            "%(num)s file is in quarantine and stays.", "%(num)s files are in quarantine and stay.", staying
        )
    undo_url = url_for(".put_back", workspace_id=member.workspace)
    return done(member, words, address_of(member, target), undo_url=undo_url, undo_values={"was": was})


def _chooser(member: Member, problem: str | None = None) -> str:
    """The tree, one place at a time. What is moved is not offered as a place itself."""
    assets, folders = _ids("asset"), _ids("folder")
    all_libraries = libraries.list_libraries(member.workspace)
    at = _place_of(request.values.get("at") or f"library:{all_libraries[0].id}")
    spot, shown, cursor = contents.browse(member.workspace, at.library_id, at.folder_id, Paging(LARGEST))
    moved = {str(each) for each in folders}
    context = {
        "assets": assets,
        "folders": folders,
        "libraries": all_libraries,
        "spot": spot,
        "into": _value_of(spot),
        "places": [each for each in shown if each.id not in moved],
        "more": cursor is not None,
        "lies_here": _lie_in(member, spot, assets, folders),
        "problem": problem,
    }
    above = is_fragment_wanted()
    template = "folders/_move.html" if above else "folders/page.html"
    return render_template(template, form="move", above=above, **context, **place(member))


def _lie_in(member: Member, spot: Breadcrumbs, assets: Sequence[UUID], folders: Sequence[UUID]) -> bool:
    """Are all selected files and folders there already, so that there is nothing to move?"""
    lie = asset_list.places_of(member.workspace, assets)
    for each in (libraries.find_folder(member.workspace, folder_id) for folder_id in folders):
        lie.add((each.library_id, each.parent_id))
    return lie == {(UUID(spot.library.id), UUID(spot.folder.id) if spot.folder else None)}


def _value_of(spot: Breadcrumbs) -> str:
    return f"folder:{spot.folder.id}" if spot.folder else f"library:{spot.library.id}"


def _place_of(value: str) -> Target:
    """``library:ID`` or ``folder:ID``. Raises ``Invalid``."""
    kind, _, given = value.partition(":")
    return Target(folder_id=_id(given)) if kind == "folder" else Target(_id(given))


def _ids(name: str) -> list[UUID]:
    """The selected ids, each once. Raises ``Invalid`` for more than one act takes."""
    given = list(dict.fromkeys(request.values.getlist(name)))
    if len(given) > MOST_ASSETS:
        raise Invalid(
            gettext(
                "You chose %(count)s files; %(most)s can be processed at once.", count=len(given), most=MOST_ASSETS
            ),
            field=name,
        )
    return [_id(each) for each in given]


def _id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise _unreadable() from None


def _unreadable() -> Invalid:
    return Invalid(gettext("The form could not be read. Reload the page."), field="asset")
