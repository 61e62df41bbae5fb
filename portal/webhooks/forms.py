"""The form of a webhook. What is wrong with its address is said by the service."""

from __future__ import annotations

from uuid import UUID

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length

from portal.errors import Problem
from portal.events.models import EventType
from portal.webhooks.models import MAX_DESCRIPTION, Endpoint
from portal.webhooks.service import Wanted

LONGEST = 4096  # characters: what is longer is not even looked at
TYPES = [SelectChoice(each.value, each.value) for each in EventType]


class EndpointForm(FlaskForm):  # type: ignore[misc]
    """What an endpoint is to be; nothing chosen means all of it."""

    url = StringField(
        _("Address"), [DataRequired(_("Enter the address that events are sent to.")), Length(max=LONGEST)]
    )
    description = StringField(_("What it is for"), [Length(max=MAX_DESCRIPTION)])
    event_types = SelectMultipleField(_("Events"), choices=TYPES)
    workspace_ids = SelectMultipleField(_("Workspaces"), choices=[])

    def offer(self, workspaces: list[tuple[UUID, str]]) -> EndpointForm:
        """Let these be chosen; the form itself."""
        self.workspace_ids.choices = [SelectChoice(str(workspace_id), name) for workspace_id, name in workspaces]
        return self

    def show(self, endpoint: Endpoint) -> EndpointForm:
        """Fill it with what an endpoint is now; the form itself."""
        self.url.data, self.description.data = endpoint.url, endpoint.description
        self.event_types.data = list(endpoint.event_types)
        self.workspace_ids.data = [str(each) for each in endpoint.workspace_ids]
        return self

    def wanted(self) -> Wanted:
        """As the service takes it."""
        places = [UUID(each) for each in self.workspace_ids.data or ()]
        return Wanted(self.url.data, self.description.data or "", self.event_types.data or (), places)

    def blame(self, problem: Problem) -> None:
        """Say what the service refused, at the field that it names."""
        where = self[problem.facts["field"]] if problem.facts.get("field") in self else self.url
        where.errors = [*where.errors, problem.detail]
