"""The page, and what can be done there."""

from __future__ import annotations

import re
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.database import transaction
from portal.errors import Invalid
from portal.identity import service, sessions
from portal.identity.access import ask_for_proof, signed_in
from portal.identity.forms import PROOFS, LanguageForm, NameForm, PasswordForm
from portal.identity.service import Person
from portal.web.rate_limits import rates

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
@signed_in
def index(user: Person) -> ResponseReturnValue:
    """Devices, and the form for another password."""
    return _page(user, PasswordForm())


@blueprint.post("/password")
@signed_in
def change_password(user: Person) -> ResponseReturnValue:
    """Another password; every other device is logged out."""
    form = PasswordForm()
    if form.validate_on_submit():
        rates().count(PROOFS, str(user.id))
        try:
            revoked = service.change_password(
                user, form.current.data, form.password.data, revoke_tokens=form.revoke_tokens.data
            )
        except Invalid as problem:
            field = form.current if problem.facts.get("field") == "current" else form.password
            field.errors = [problem.detail]
        else:
            flash(_changed(revoked, service.count_tokens(user.id)), "success")
            return redirect(url_for("account.index"), 303)
    return _page(user, form), 422


@blueprint.get("/confirm")
@signed_in
def confirm(user: Person) -> ResponseReturnValue:  # noqa: ARG001  # whoever is signed in
    """The form that asks for the password."""
    return ask_for_proof(_local(request.args.get("target", "/")), "GET")


@blueprint.post("/confirm")
@signed_in
def prove(user: Person) -> ResponseReturnValue:
    """Whoever proves who they are goes on to what they were about to do, with what they had sent."""
    target, method = _local(request.form.get("proof_target", "/")), request.form.get("proof_method", "GET")
    rates().count(PROOFS, str(user.id))
    if not service.proves(user.id, request.form.get("proof", "")):
        return ask_for_proof(target, method, _("This is not your password."))
    rates().forget(PROOFS, str(user.id))
    if user.session_id is not None:
        with transaction():
            sessions.prove(user.session_id)
    return redirect(target, 307 if method == "POST" else 303)  # 307 sends the form along (RFC 9110, 15.4.8)


@blueprint.post("/name")
@signed_in
def rename(user: Person) -> ResponseReturnValue:
    """The name that others see."""
    form = NameForm()
    if form.validate_on_submit():
        try:
            service.rename(user.id, form.name.data)
        except Invalid as problem:
            form.name.errors = [problem.detail]
        else:
            flash(_("Your name was changed."), "success")
            return redirect(url_for("account.index"), 303)
    return _page(user, PasswordForm(formdata=None), name=form), 422


@blueprint.post("/language")
@signed_in
def choose_language(user: Person) -> ResponseReturnValue:
    """The language of pages and e-mails."""
    form = LanguageForm()
    if not form.validate_on_submit():
        return _page(user, PasswordForm(formdata=None), language=form), 422
    service.choose_language(user.id, form.language.data or None)
    return redirect(url_for("account.index"), 303)


@blueprint.post("/sessions/<uuid:session_id>/end")
@signed_in
def end(user: Person, session_id: UUID) -> ResponseReturnValue:
    """Log one device out."""
    with transaction():
        sessions.end(user.id, session_id)
    flash(_("That device was logged out."), "success")
    return redirect(url_for("account.index"), 303)


@blueprint.post("/sessions/end-others")
@signed_in
def end_others(user: Person) -> ResponseReturnValue:
    """Log every device out but this one."""
    with transaction():
        count = sessions.end_all(user.id, but=user.session_id)
    flash(ngettext("One device was logged out.", "%(num)s devices were logged out.", count), "success")
    return redirect(url_for("account.index"), 303)


def _changed(revoked: int, working: int) -> str:
    """What another password ended, and what it did not."""
    words = _("The password was changed, all other devices logged out.")
    if revoked:
        tokens = ngettext("One API token was revoked.", "%(num)s API tokens were revoked.", revoked)
        return f"{words} {tokens}"
    if working:
        tokens = ngettext("One API token goes on working.", "%(num)s API tokens go on working.", working)
        return f"{words} {tokens}"
    return words


def _local(target: str) -> str:
    """An address of ours: browsers read ``//`` and ``/\\`` as the beginning of another host's."""
    return target if re.match(r"/(?![/\\])", target) and target.isprintable() else "/"


def _page(
    user: Person, form: PasswordForm, *, language: LanguageForm | None = None, name: NameForm | None = None
) -> str:
    return render_template(
        "account/index.html",
        form=form,
        name=name or NameForm(formdata=None, name=user.name),
        language=language or LanguageForm(formdata=None, language=user.language or ""),
        devices=sessions.devices(user.id, user.session_id),
        tokens=service.count_tokens(user.id),
    )
