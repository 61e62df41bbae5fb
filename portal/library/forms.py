"""What clients and pages send: filters of lists, and what is to be made."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from flask_babel import gettext as _
from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from portal.assets.models import AssetState
from portal.library.asset_list import Filters
from portal.web.body import Body, Query

LONGEST_SEARCH = 255  # characters: no name is longer
MOST_IDS = 100


def _apart(ids: Any) -> Any:
    """What an address lists with commas between."""
    return ids.split(",") if isinstance(ids, str) else ids


Ids = Annotated[
    tuple[UUID, ...], BeforeValidator(_apart), Field(max_length=MOST_IDS), WithJsonSchema({"type": "string"})
]


class AssetQuery(Query):
    """What a list of assets is narrowed to; without ``status``: all but the trash."""

    q: str | None = Field(
        None,
        max_length=LONGEST_SEARCH,
        description="Words that the file's name contains: all of them, in any order and case, with or without accents.",
    )
    kind: Literal["photo", "vector", "video", "document", "archive"] | None = None
    status: Literal["processing", "available", "quarantined", "failed", "deleted"] | None = None
    library_id: UUID | None = None
    folder_id: UUID | None = None

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_empty(cls, sent: Any) -> Any:
        """A form sends every field; an empty one, or one of blanks alone, narrows nothing."""
        if not isinstance(sent, dict):
            return sent
        trimmed = {name: value.strip() if isinstance(value, str) else value for name, value in sent.items()}
        return {name: value for name, value in trimmed.items() if value != ""}

    def filters(self) -> Filters:
        """As the service takes them."""
        status = AssetState(self.status) if self.status else None
        return Filters(self.q, self.kind, status, self.library_id, self.folder_id)


class ListQuery(AssetQuery):
    """The query of the API, which may also name ids."""

    ids: Ids | None = Field(
        None,
        description=f"Up to {MOST_IDS} ids of assets, with commas between: these, as far as they are here, "
        "in whatever state and on one page. Goes with no other filter.",
    )

    @field_validator("ids")
    @classmethod
    def _alone(cls, ids: tuple[UUID, ...] | None, info: ValidationInfo) -> tuple[UUID, ...] | None:
        if ids and any(info.data.values()):
            raise ValueError(_("This can't be combined with other filters."))
        return ids

    def filters(self) -> Filters:
        """As the service takes them."""
        return Filters(ids=self.ids) if self.ids else super().filters()


class GalleryQuery(AssetQuery):
    """The same in the address of a page, which also says how it is shown."""

    status: Literal["processing", "available", "quarantined", "failed"] | None = None
    view: Literal["grid", "list"] | None = None
    library: UUID | None = None
    folders: str | None = None

    @property
    def is_place(self) -> bool:
        """Is it one place that is shown, a library's top or a folder? A search looks through more."""
        return not self.q and (self.library is not None or self.folder_id is not None)

    def filters(self) -> Filters:
        """As the service takes them."""
        status = AssetState(self.status) if self.status else None
        at_top = self.is_place and self.folder_id is None
        return Filters(self.q, self.kind, status, self.library, self.folder_id, top=at_top)

    def address(self) -> dict[str, Any]:
        """The filters that are set, for links to the same list. A folder implies its library."""
        place = {"folder_id": self.folder_id} if self.folder_id else {"library": self.library}
        given = {"q": self.q, "kind": self.kind, "status": self.status, **place}
        return {name: str(value) for name, value in given.items() if value}


class DeleteQuery(Query):
    """How far it goes."""

    permanent: bool = Field(False, description="Delete for good instead of into the trash.")


class AssetChange(Body):
    """Another name, with the same ending; ``seen_name``: 409 when it is called otherwise by now."""

    file_name: str
    seen_name: str | None = None


class NewLibrary(Body):
    """A library to add."""

    name: str
