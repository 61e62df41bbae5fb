"""The part of the upload tray that lists what was interrupted; static/js/interrupted_uploads.js asks for it."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, render_template, request

from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.uploads import multipart
from portal.uploads.cancel import cancel as cancel_upload

blueprint = Blueprint("uploads", __name__)
HERE = "/t/<tenant_slug>/w/<workspace_slug>/uploads"


@blueprint.get(f"{HERE}/interrupted")
@member(Permission.UPLOAD)
def interrupted(member: Member) -> str:
    """``sending`` names, once or more, uploads that some tab of this browser is sending at the moment."""
    return _interrupted(member, request.args.getlist("sending"))


@blueprint.post(f"{HERE}/<uuid:upload_id>/discard")
@member(Permission.UPLOAD)
def discard(member: Member, upload_id: UUID) -> str:
    cancel_upload(member, upload_id)
    return _interrupted(member, request.form.getlist("sending"))


def _interrupted(member: Member, sending: list[str]) -> str:
    uploads = multipart.list_interrupted(member, sending=sending)
    return render_template("uploads/_interrupted.html", uploads=uploads, sending=sending, workspace_id=member.workspace)
