"""The small forms about folders, libraries and files: creating, renaming, deleting.

Each is a page of its own, and to htmx the form alone, which opens above the page one is on. When it is done, a page
redirects with a message; in a dialog a toast shows it, and the page below is loaded again (static/js/form_dialog.js).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, make_response, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from portal.assets import service as assets
from portal.errors import Conflict, Invalid, Problem
from portal.folders import contents, libraries, service
from portal.folders.service import Target
from portal.inspection import file_kinds
from portal.library import folder_trash, moves
from portal.library.gallery import HERE, address_of, back, done, place
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import is_fragment_wanted
from portal.web.paging import Paging

blueprint = Blueprint("folders", __name__)
FOLDER = f"{HERE}/folders/<uuid:folder_id>"
LIBRARY = f"{HERE}/libraries/<uuid:library_id>"
FILE = f"{HERE}/files/<uuid:asset_id>"


@blueprint.get(f"{HERE}/folders/new")
@member(Permission.EDIT)
def new(member: Member) -> ResponseReturnValue:
    """The form for a new folder at the place that the address names."""
    return _form(member, gettext("New folder"), gettext("Make folder"))


@blueprint.post(f"{HERE}/folders/new")
@member(Permission.EDIT)
def create(member: Member) -> ResponseReturnValue:
    given = {name: request.args.get(name, type=UUID) for name in ("library", "folder_id")}
    try:
        made = service.create(member, request.form.get("name", ""), Target(given["library"], given["folder_id"]))
    except (Invalid, Conflict) as problem:
        return _form(member, gettext("New folder"), gettext("Make folder"), problem=problem)
    here = address_of(member, Target(made.library_id, made.parent_id))
    return done(member, gettext("Folder “%(name)s” made.", name=made.name), here)


@blueprint.get(f"{FOLDER}/rename")
@member(Permission.EDIT)
def ask_name(member: Member, folder_id: UUID) -> ResponseReturnValue:
    name = libraries.find_folder(member.workspace, folder_id).name
    return _form(member, gettext("Rename folder"), gettext("Rename"), name=name)


@blueprint.post(f"{FOLDER}/rename")
@member(Permission.EDIT)
def rename(member: Member, folder_id: UUID) -> ResponseReturnValue:
    seen = request.form.get("seen_name") or None
    try:
        folder = moves.change_folder(member, folder_id, name=request.form.get("name", ""), seen_name=seen).folder
    except (Invalid, Conflict) as problem:
        return _form(member, gettext("Rename folder"), gettext("Rename"), name=seen, problem=problem)
    words = gettext("The folder is called “%(name)s” now.", name=folder.name)
    return done(member, words, address_of(member, Target(folder_id=folder_id)))


@blueprint.get(f"{FOLDER}/delete")
@member(Permission.EDIT)
def ask_delete(member: Member, folder_id: UUID) -> ResponseReturnValue:
    """The question before it is deleted, in real numbers."""
    spot, _, _ = contents.browse(member.workspace, None, folder_id, Paging(1))
    weight = folder_trash.contents_of(member.workspace, folder_id)
    return _render("delete", member, spot=spot, weight=weight, most=moves.MOST_FILES)


@blueprint.post(f"{FOLDER}/delete")
@member(Permission.EDIT)
def delete(member: Member, folder_id: UUID) -> ResponseReturnValue:
    folder = libraries.find_folder(member.workspace, folder_id)
    gone = folder_trash.discard(member, folder_id)
    files = ngettext(
        "Folder “%(name)s” deleted; %(num)s file is in the trash for 30 days.",
        "Folder “%(name)s” deleted; %(num)s files are in the trash for 30 days.",
        gone.files,
        name=folder.name,
    )
    words = files if gone.files else gettext("Folder “%(name)s” deleted.", name=folder.name)
    undo_url = url_for(".restore", workspace_id=member.workspace, folder_id=folder_id)
    parent = address_of(member, Target(folder.library_id, folder.parent_id))
    return done(member, words, parent, gone=str(folder_id), tone="calm", undo_url=undo_url)


@blueprint.post(f"{FOLDER}/restore")
@member(Permission.EDIT)
def restore(member: Member, folder_id: UUID) -> ResponseReturnValue:
    """Take it back, with what went with it."""
    restored = folder_trash.restore(member, folder_id)
    name = restored.folder.name
    words = gettext("Folder “%(name)s” is back.", name=name)
    if restored.elsewhere:
        words = gettext("Folder “%(name)s” is back, at the top of the library: its place is gone.", name=name)
    return back(member, words)


@blueprint.get(f"{HERE}/libraries/new")
@member(Permission.EDIT)
def new_library(member: Member) -> ResponseReturnValue:
    """The form for a new library."""
    return _form(member, gettext("New library"), gettext("Make library"))


@blueprint.post(f"{HERE}/libraries/new")
@member(Permission.EDIT)
def create_library(member: Member) -> ResponseReturnValue:
    try:
        made = libraries.create_library(member, request.form.get("name", ""))
    except (Invalid, Conflict) as problem:
        return _form(member, gettext("New library"), gettext("Make library"), problem=problem)
    words = gettext("Library “%(name)s” made.", name=made.name)
    return done(member, words, address_of(member, Target(made.id)), leads=True)


@blueprint.get(f"{LIBRARY}/rename")
@member(Permission.MANAGE_WORKSPACE)
def ask_library_name(member: Member, library_id: UUID) -> ResponseReturnValue:
    name = libraries.find_library(member.workspace, library_id).name
    return _form(member, gettext("Rename library"), gettext("Rename"), name=name)


@blueprint.post(f"{LIBRARY}/rename")
@member(Permission.MANAGE_WORKSPACE)
def rename_library(member: Member, library_id: UUID) -> ResponseReturnValue:
    seen = request.form.get("seen_name") or None
    try:
        renamed = libraries.rename_library(member, library_id, request.form.get("name", ""), seen)
    except (Invalid, Conflict) as problem:
        return _form(member, gettext("Rename library"), gettext("Rename"), name=seen, problem=problem)
    words = gettext("The library is called “%(name)s” now.", name=renamed.name)
    return done(member, words, address_of(member, Target(library_id)))


@blueprint.get(f"{FILE}/rename")
@member(Permission.EDIT)
def ask_file_name(member: Member, asset_id: UUID) -> ResponseReturnValue:
    return _file_form(member, assets.find_asset(member.workspace, asset_id).file_name)


@blueprint.post(f"{FILE}/rename")
@member(Permission.EDIT)
def rename_file(member: Member, asset_id: UUID) -> ResponseReturnValue:
    """Give it the name, and the ending that it has."""
    before = assets.find_asset(member.workspace, asset_id).file_name
    name = request.form.get("name", "").strip() + _ending(before)
    seen = request.form.get("seen_name") or None
    try:
        assets.rename(member, asset_id, name, seen)
    except (Invalid, Conflict) as problem:
        return _file_form(member, seen or before, problem=problem)
    words = gettext("The file is called “%(name)s” now.", name=name)
    return done(member, words, url_for("library.asset", workspace_id=member.workspace, asset_id=asset_id))


def _file_form(member: Member, name: str, *, problem: Problem | None = None) -> ResponseReturnValue:
    return _form(member, gettext("Rename file"), gettext("Rename"), name=name, ending=_ending(name), problem=problem)


def _ending(file_name: str) -> str:
    """The end of a name that stays, as it is written: ``.JPG``."""
    extension = file_kinds.extension_of(file_name)
    return file_name[-len(extension) - 1 :] if extension else ""


def _form(
    member: Member,
    title: str,
    action: str,
    *,
    name: str | None = None,
    ending: str = "",
    problem: Problem | None = None,
) -> ResponseReturnValue:
    """The one field that all these forms have. ``name``: what it is called so far; its ``ending`` is not typed."""
    typed = request.form.get("name", (name or "").removesuffix(ending))
    context = {"title": title, "action": action, "name": name, "typed": typed, "address": request.full_path.rstrip("?")}
    context["ending"] = ending
    html = _render("name", member, **context, problem=problem.detail if problem else None)
    return make_response(html, problem.http_status if problem else 200)


def _render(form: str, member: Member, **context: Any) -> str:
    """A form in a dialog above the page, else on a page of its own."""
    above = is_fragment_wanted()
    template = f"folders/_{form}.html" if above else "folders/page.html"
    return render_template(template, form=form, above=above, **context, **place(member))
