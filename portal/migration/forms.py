"""The form of a speed limit."""

from __future__ import annotations

from collections.abc import Mapping

from flask_babel import gettext as _

from portal.errors import Invalid

MB = 1024 * 1024


def speed_limit(form: Mapping[str, str]) -> int | None:
    """The form's MB per second in bytes per second; empty: no limit. Raises ``Invalid``."""
    written = form.get("megabytes_per_second", "").strip().replace(",", ".")
    if not written:
        return None
    try:
        return round(float(written) * MB)
    except (ValueError, OverflowError):  # "inf" is a float, and no number of bytes
        message = _("The speed is a number of MB per second, such as 20. Leave it empty for no limit.")
        raise Invalid(message, field="megabytes_per_second") from None
