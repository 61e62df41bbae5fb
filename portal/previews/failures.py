"""Why a file has no previews, for people. Outside of the sandbox: what is imported here is too much for a child."""

from collections.abc import Mapping
from typing import Any

from portal.previews.types import CODES
from portal.texts import Text

_TEXTS = {
    "broken": Text(
        "No preview can be made of the file: it is cut off, damaged, or a variant of its format that is not known "
        "here. Open it, save it again and upload the new copy."
    ),
    "no_pages": Text("The PDF has no pages."),
    "no_size": Text("The PDF's first page has no size."),
    "timeout": Text("The preview took too long and was stopped. The file itself is unchanged."),
    "out_of_memory": Text("The preview needs more memory than one file may use. The file itself is unchanged."),
    "unsupported": Text("Previews are not made of this type of file."),
    "password": Text("The PDF is locked with a password: no preview can be made of it."),
    "beyond_limits": Text("The picture exceeds a limit of the program that decodes it. The file itself is unchanged."),
}


class PreviewFailed(Exception):
    """No previews of this file. ``code`` is one of the contract's codes, ``text`` the reason for people."""

    def __init__(self, reason: str, values: Mapping[str, Any] | None = None) -> None:
        """As for `DecodingFailed`. Raises KeyError, TypeError, ValueError for others than those of ``CODES``."""
        self.code = CODES[reason]
        self.text = _text(reason, values or {})
        super().__init__(f"{self.code}: {self.text.english}")

    @property
    def detail(self) -> str:
        """The reason in English, as it is written into the row."""
        return self.text.english


def _text(reason: str, values: Mapping[str, Any]) -> Text:
    if reason == "too_many_pixels":
        return Text(
            "The picture has %(megapixels)s megapixels; previews are made up to %(most)s.",
            megapixels=f"{int(values['pixels']) / 1e6:,.0f}",
            most=f"{int(values['most']) / 1e6:,.0f}",
        )
    if reason == "too_many_frames":
        return Text(
            "The file has more than %(most)s frames; previews are made up to that.", most=f"{int(values['most']):,}"
        )
    return _TEXTS[reason]
