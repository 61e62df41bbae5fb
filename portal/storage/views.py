"""The pages of a workspace's storage, for its owners."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Conflict, Invalid
from portal.identity.access import recently_proved
from portal.storage import probe_runs, profiles
from portal.storage.contents import contents_of
from portal.storage.forms import BucketForm, ConnectForm, KeysForm
from portal.storage.models import ProfileMode, StorageProfile
from portal.storage.presenters import row_of, test_of
from portal.storage.presets import BY_CODE, PRESETS, Preset
from portal.storage.service import find_unretired
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member

HERE = "/t/<tenant_slug>/w/<workspace_slug>/storage"

blueprint = Blueprint("storage", __name__)


@blueprint.get(HERE)
@member(Permission.MANAGE_STORAGE)
def index(member: Member) -> ResponseReturnValue:
    """The storages of the workspace, and the one that takes new files."""
    contents = contents_of(member.workspace)
    rows = [row_of(each, contents.get(each.id)) for each in profiles.list_profiles(member.workspace)]
    return render_template("storage/index.html", rows=rows, workspace_id=member.workspace)


@blueprint.get(f"{HERE}/new")
@member(Permission.MANAGE_STORAGE)
@recently_proved
def new(member: Member) -> ResponseReturnValue:
    """The form for a bucket, with help for the store that was chosen."""
    preset = _preset()
    values = {"addressing_style": preset.style.value, "encryption": preset.encryption} if preset else {}
    region = {"region": preset.fixed_region} if preset else {}
    return _connecting(member, ConnectForm(formdata=None, data=values | region), preset)


@blueprint.post(f"{HERE}/new")
@member(Permission.MANAGE_STORAGE)
@recently_proved
def connect(member: Member) -> ResponseReturnValue:
    """Connect it, and test it at once."""
    form = ConnectForm()
    if form.validate_on_submit():
        try:
            profile = profiles.add(member, form.connection(), form.secret_access_key.data)
        except (Invalid, Conflict) as problem:
            form.show_refusal(problem)
        else:
            flash(_("The bucket is connected. It is being tested now."), "success")
            return _to_page(profile)
    return _connecting(member, form, _preset() or BY_CODE["other"]), 422


@blueprint.get(f"{HERE}/<uuid:profile_id>")
@member(Permission.MANAGE_STORAGE)
def show(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """One storage: settings, health, contents."""
    return _page(member, find_unretired(member.workspace, profile_id), KeysForm(formdata=None))


@blueprint.get(f"{HERE}/<uuid:profile_id>/edit")
@member(Permission.MANAGE_STORAGE)
def edit(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """The form with what it is now."""
    profile = find_unretired(member.workspace, profile_id)
    return _editing(profile, BucketForm(formdata=None, obj=profile))


@blueprint.post(f"{HERE}/<uuid:profile_id>/edit")
@member(Permission.MANAGE_STORAGE)
def change(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """Change it, and test it again."""
    form = BucketForm()
    if form.validate_on_submit():
        try:
            profile = profiles.edit(member, profile_id, form.fields_of_connection(), None)
        except (Invalid, Conflict) as problem:
            form.show_refusal(problem)
        else:
            flash(_("Saved."), "success")
            return _to_page(profile)
    return _editing(find_unretired(member.workspace, profile_id), form), 422


@blueprint.post(f"{HERE}/<uuid:profile_id>/keys")
@member(Permission.MANAGE_STORAGE)
@recently_proved
def change_keys(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """Use another key from now on, and test with it."""
    form = KeysForm()
    if form.validate_on_submit():
        changes = {"access_key_id": form.access_key_id.data}
        try:
            profile = profiles.edit(member, profile_id, changes, form.secret_access_key.data)
        except (Invalid, Conflict) as problem:
            form.show_refusal(problem)
        else:
            flash(_("The new key is in use. The storage is being tested with it."), "success")
            return _to_page(profile)
    return _page(member, find_unretired(member.workspace, profile_id), form), 422


@blueprint.post(f"{HERE}/<uuid:profile_id>/activate")
@member(Permission.MANAGE_STORAGE)
def activate(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """Make a storage the one that takes new files."""
    try:
        profile = profiles.activate(member, profile_id)
    except Conflict as problem:
        flash(problem.detail, "danger")
        return _to_page(find_unretired(member.workspace, profile_id))
    flash(_("New files go to “%(name)s” from now on.", name=profile.name), "success")
    return _to_page(profile)


@blueprint.post(f"{HERE}/<uuid:profile_id>/retire")
@member(Permission.MANAGE_STORAGE)
def retire(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """Disconnect a bucket."""
    try:
        profiles.retire(member, profile_id)
    except Conflict as problem:
        flash(problem.detail, "danger")
        return _to_page(find_unretired(member.workspace, profile_id))
    flash(_("The bucket is disconnected, and its keys are deleted. Nothing in it was changed."), "success")
    return redirect(url_for("storage.index", workspace_id=member.workspace), 303)


def _page(member: Member, profile: StorageProfile, keys_form: KeysForm) -> str:
    contents = contents_of(member.workspace)
    active = next(each for each in profiles.list_profiles(member.workspace) if each.active)
    own = profile.mode is ProfileMode.BYOS
    return render_template(
        "storage/show.html",
        row=row_of(profile, contents.get(profile.id)),
        profile=profile,
        active=row_of(active, contents.get(active.id)),
        keys_form=keys_form,
        test=test_of(profile) if own else None,
        needed=probe_runs.needed(member.workspace, profile.id) if own else None,
    )


def _connecting(member: Member, form: ConnectForm, preset: Preset | None) -> str:
    return render_template("storage/new.html", form=form, workspace_id=member.workspace, presets=PRESETS, preset=preset)


def _editing(profile: StorageProfile, form: BucketForm) -> str:
    return render_template("storage/edit.html", profile=profile, form=form)


def _preset() -> Preset | None:
    return BY_CODE.get(request.args.get("preset", ""))


def _to_page(profile: StorageProfile) -> ResponseReturnValue:
    return redirect(url_for("storage.show", workspace_id=profile.workspace_id, profile_id=profile.id), 303)
