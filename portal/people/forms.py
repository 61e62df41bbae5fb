"""Forms of people: inviting, roles, the account of somebody who was invited."""

from __future__ import annotations

import re

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import IntegerField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length, NumberRange

from portal.errors import Problem
from portal.identity.service import LONGEST_PASSWORD, SHORTEST_PASSWORD
from portal.people.invitations import MOST_DAYS, USUAL_DAYS, NewInvitation
from portal.tenancy.labels import TENANT_ROLES, WORKSPACE_ROLES
from portal.tenancy.models import WorkspaceRole
from portal.tenancy.service import LONGEST_NAME

IN_WORKSPACE = [SelectChoice(role.value, label) for role, label in WORKSPACE_ROLES.items()]
IN_TENANT = [SelectChoice(role.value, label) for role, label in TENANT_ROLES.items()]


class InviteForm(FlaskForm):  # type: ignore[misc]
    """Addresses to be invited: one, or a list as it was copied from an e-mail or a table."""

    addresses = TextAreaField(_("E-mail addresses"), [DataRequired(_("Enter at least one e-mail address."))])
    role = SelectField(_("Role"), choices=IN_WORKSPACE, default=WorkspaceRole.EDITOR.value)
    days = IntegerField(
        _("Valid for days"),
        [
            InputRequired(_("Enter a number of days.")),
            NumberRange(1, MOST_DAYS, _("Enter a number from %(min)s to %(max)s.")),
        ],
        default=USUAL_DAYS,
    )

    def wanted(self) -> list[NewInvitation]:
        """As the service takes it."""
        role, days = WorkspaceRole(self.role.data), int(self.days.data)
        return [NewInvitation(address, role, days) for address in split_addresses(self.addresses.data or "")]


def split_addresses(text: str) -> list[str]:
    """The addresses of a pasted list: by lines, commas, semicolons and blanks, each also as ``Name <address>``.

    >>> split_addresses("Ann Bee <ann@x.example>; bob@x.example\\ncy@x.example dee@x.example")
    ['ann@x.example', 'bob@x.example', 'cy@x.example', 'dee@x.example']
    """
    found: list[str] = []
    for piece in re.split(r"[,;\r\n]+", text):
        named = re.search(r"<([^<>]*)>", piece)
        found += [named[1].strip()] if named else piece.split()
    return [each for each in found if each]


class WorkspaceRoleForm(FlaskForm):  # type: ignore[misc]
    """Another role in a workspace."""

    role = SelectField(_("Role"), choices=IN_WORKSPACE)


class TenantRoleForm(FlaskForm):  # type: ignore[misc]
    """Another role in a tenant."""

    role = SelectField(_("Role"), choices=IN_TENANT)


class SignUpForm(FlaskForm):  # type: ignore[misc]
    """The account of somebody who was invited; the address is the invitation's."""

    name = StringField(_("Your name"), [DataRequired(_("Enter your name.")), Length(max=LONGEST_NAME)])
    password = PasswordField(
        _("Password"), [InputRequired(_("Enter a password.")), Length(SHORTEST_PASSWORD, LONGEST_PASSWORD)]
    )
    again = PasswordField(_("Password, once more"), [EqualTo("password", _("This is not the same password."))])

    def show_refusal(self, problem: Problem) -> None:
        """Show why the service refused it, at the field that the problem names."""
        where = self[problem.facts["field"]] if problem.facts.get("field") in self else self.password
        where.errors = [*where.errors, problem.detail]
