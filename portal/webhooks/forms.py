"""The form of a webhook. The service checks the address: only it knows which hosts are allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length

from portal.errors import Conflict, Invalid, Problem
from portal.events.models import EventType
from portal.webhooks.models import MAX_DESCRIPTION, Endpoint
from portal.webhooks.service import Wanted

Result = TypeVar("Result")
LONGEST = 4096  # characters: what is longer is not even looked at
TYPES = [SelectChoice(each.value, each.value) for each in EventType]


class EndpointForm(FlaskForm):  # type: ignore[misc]
    """An endpoint; no event or workspace chosen means all of them."""

    url = StringField(
        _("Address"), [DataRequired(_("Enter the address that events are sent to.")), Length(max=LONGEST)]
    )
    description = StringField(_("What it is for"), [Length(max=MAX_DESCRIPTION)])
    event_types = SelectMultipleField(_("Events"), choices=TYPES)
    workspace_ids = SelectMultipleField(_("Workspaces"), choices=[])

    def offer(self, workspaces: list[tuple[UUID, str]]) -> EndpointForm:
        """Offer these workspaces; returns the form itself."""
        self.workspace_ids.choices = [SelectChoice(str(workspace_id), name) for workspace_id, name in workspaces]
        return self

    def show(self, endpoint: Endpoint) -> EndpointForm:
        """Fill in the values of an endpoint; returns the form itself."""
        self.url.data, self.description.data = endpoint.url, endpoint.description
        self.event_types.data = list(endpoint.event_types)
        self.workspace_ids.data = [str(each) for each in endpoint.workspace_ids]
        return self

    def submit(self, command: Callable[[Wanted], Result]) -> Result | None:
        """Run ``command`` with what was entered. None: something is wrong, and the form's fields say what."""
        if not self.validate_on_submit():
            return None
        try:
            return command(self._wanted())
        except (Invalid, Conflict) as problem:
            self._add_error(problem)
            return None

    def _wanted(self) -> Wanted:
        workspace_ids = [UUID(each) for each in self.workspace_ids.data or ()]
        return Wanted(self.url.data, self.description.data or "", self.event_types.data or (), workspace_ids)

    def _add_error(self, problem: Problem) -> None:
        field = self[problem.facts["field"]] if problem.facts.get("field") in self else self.url
        field.errors = [*field.errors, problem.detail]
