"""Forms of storage: connecting a bucket, changing it, changing its keys. What is wrong is said by the service."""

from __future__ import annotations

from typing import Any

from flask_babel import lazy_gettext as _
from flask_wtf import FlaskForm
from wtforms import PasswordField, SelectField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, Length

from portal.errors import Problem
from portal.storage.connection import Connection
from portal.storage.models import AddressingStyle, Encryption

LONGEST = 2048  # characters: more is none of these
STYLES = (
    SelectChoice("auto", _("Automatic")),
    SelectChoice("path", _("In the path: https://endpoint/bucket")),
    SelectChoice("virtual", _("In front: https://bucket.endpoint")),
)
ENCRYPTIONS = (
    SelectChoice("", _("As usual for this store")),
    SelectChoice("none", _("What the bucket does by itself")),
    SelectChoice("sse_s3", _("With the store's own key (SSE-S3)")),
    SelectChoice("sse_kms", _("With a key of its key service (SSE-KMS)")),
)


class BucketForm(FlaskForm):  # type: ignore[misc]
    """Where a bucket is."""

    bucket = StringField(_("Bucket"), [DataRequired(_("Enter the bucket's name.")), Length(max=LONGEST)])
    endpoint = StringField(_("Endpoint"), [Length(max=LONGEST)])
    region = StringField(_("Region"), [Length(max=LONGEST)])
    key_prefix = StringField(_("Prefix"), [Length(max=LONGEST)])
    name = StringField(_("Name"), [Length(max=LONGEST)])
    addressing_style = SelectField(_("Address of the bucket"), choices=STYLES)
    encryption = SelectField(_("Encryption"), choices=ENCRYPTIONS)
    kms_key_id = StringField(_("KMS key"), [Length(max=LONGEST)])

    def fields_of_connection(self) -> dict[str, Any]:
        """What was entered, as the service takes it."""
        texts = {name: self[name].data or "" for name in ("bucket", "endpoint", "region", "key_prefix", "name")}
        chosen = Encryption(self.encryption.data) if self.encryption.data else None
        style = AddressingStyle(self.addressing_style.data)
        return texts | {"addressing_style": style, "encryption": chosen, "kms_key_id": self.kms_key_id.data or None}

    def show_refusal(self, problem: Problem) -> None:
        """Show why the service refused it, at the field that the problem names."""
        where = self[problem.facts["field"]] if problem.facts.get("field") in self else self.bucket
        where.errors = [*where.errors, problem.detail]


class KeysForm(FlaskForm):  # type: ignore[misc]
    """The key of a bucket. The secret is never shown again."""

    access_key_id = StringField(_("Access key ID"), [DataRequired(_("Enter the access key ID.")), Length(max=LONGEST)])
    secret_access_key = PasswordField(
        _("Secret access key"), [DataRequired(_("Enter the secret access key.")), Length(max=LONGEST)]
    )

    show_refusal = BucketForm.show_refusal


class ConnectForm(BucketForm, KeysForm):
    """The form for a new bucket."""

    def connection(self) -> Connection:
        """What the owner wants to connect."""
        return Connection(**self.fields_of_connection(), access_key_id=self.access_key_id.data or "")
