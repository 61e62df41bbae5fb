"""The form of a new API token. What is wrong with it is said by the service."""

from __future__ import annotations

from uuid import UUID

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import IntegerField, SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length, Optional

from portal.errors import Invalid
from portal.identity.scopes import Scope
from portal.identity.service import LONGEST_NAME
from portal.tenancy.tokens import SCOPE_WORDS, WantedToken


class TokenForm(FlaskForm):  # type: ignore[misc]
    """A new API token; no workspace chosen means all of them."""

    name = StringField(_("Name"), validators=[DataRequired(_("Give the token a name.")), Length(max=LONGEST_NAME)])
    scopes = SelectMultipleField(
        _("What it may do"),
        choices=[SelectChoice(scope.value, words) for scope, words in SCOPE_WORDS.items()],
        validators=[DataRequired(_("Choose at least one thing that the token may do."))],
    )
    workspace_ids = SelectMultipleField(_("Where"), choices=[])
    days = IntegerField(_("Days"), validators=[Optional()])

    def offer(self, workspaces: dict[UUID, str], days: int) -> TokenForm:
        """Let these workspaces be chosen, and propose ``days`` in an empty form; the form itself."""
        self.workspace_ids.choices = [SelectChoice(str(each), name) for each, name in workspaces.items()]
        if not self.is_submitted() or self.days.data is None:
            self.days.data = days
        return self

    def wanted(self) -> WantedToken:
        """As the service takes it."""
        places = [UUID(each) for each in self.workspace_ids.data or ()]
        return WantedToken(self.name.data, self.days.data, [Scope(each) for each in self.scopes.data], places or None)

    def blame(self, problem: Invalid) -> None:
        """Say what the service refused, at the field that it names."""
        where = self[problem.facts["field"]] if problem.facts.get("field") in self else self.name
        where.errors = [*where.errors, problem.detail]
