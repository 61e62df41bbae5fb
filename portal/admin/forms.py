"""Forms of workspaces. What is wrong is said by the service."""

from __future__ import annotations

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import EmailField, StringField
from wtforms.validators import DataRequired, Length

from portal.errors import Problem
from portal.tenancy.service import LONGEST_NAME

NAME = [DataRequired(_("Enter a name.")), Length(max=LONGEST_NAME)]


class WorkspaceNameForm(FlaskForm):  # type: ignore[misc]
    """The name of a workspace."""

    name = StringField(_("Name"), NAME)

    def show_refusal(self, problem: Problem) -> None:
        """Show why the service refused it, at the field that the problem names."""
        where = self[problem.facts["field"]] if problem.facts.get("field") in self else self.name
        where.errors = [*where.errors, problem.detail]


class NewWorkspaceForm(WorkspaceNameForm):
    """A new workspace. Without ``slug`` one that resembles the name; without ``limit`` none of its own."""

    slug = StringField(_("Name in addresses"), [Length(max=63)])
    owner_email = EmailField(_("Owner"), [DataRequired(_("Enter the owner’s e-mail address.")), Length(max=254)])
    limit = StringField(_("Limit"), [Length(max=40)])
