"""Forms of identity: login, another password, another language."""

from __future__ import annotations

from typing import Any

from flask import after_this_request
from flask_babel import lazy_gettext as _
from flask_security.forms import LoginForm as SecurityLoginForm
from flask_wtf import FlaskForm
from wtforms import BooleanField, EmailField, PasswordField, SelectField, StringField
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length

from portal.identity.login_attempts import LoginAttempt
from portal.identity.service import LONGEST_PASSWORD, LONGEST_PERSON_NAME, SHORTEST_PASSWORD
from portal.web import languages
from portal.web.rate_limits import Rate

# Guessing the password of somebody whose session was left open.
PROOFS = Rate("prove-password", "10 per 5 minutes")


class LoginForm(SecurityLoginForm):
    """Flask-Security's form; each attempt is counted before a password is looked at."""

    # What is no address is simply nobody's.
    email = EmailField(_("E-mail address"), validators=[DataRequired(_("Enter your e-mail address."))])
    password = PasswordField(_("Password"), validators=[InputRequired(_("Enter your password."))])

    def validate(self, **kwargs: Any) -> bool:
        """Raises 429 when there were too many attempts."""
        # One character more than any password has: the hash refuses what is far longer with an error of its own.
        self.password.data = (self.password.data or "")[: LONGEST_PASSWORD + 1]
        attempt = LoginAttempt(self.email.data or "")
        attempt.count()
        if not super().validate(**kwargs):
            after_this_request(attempt.fail())
            return False
        attempt.succeed()
        after_this_request(attempt.remember_device)
        return True


class NameForm(FlaskForm):  # type: ignore[misc]
    """What others see of a person."""

    name = StringField(_("Name"), validators=[DataRequired(_("Enter your name.")), Length(max=LONGEST_PERSON_NAME)])


class PasswordForm(FlaskForm):  # type: ignore[misc]
    """Another password."""

    current = PasswordField(_("Your password"), validators=[DataRequired(_("Enter your password."))])
    password = PasswordField(
        _("New password"),
        validators=[DataRequired(_("Enter a new password.")), Length(SHORTEST_PASSWORD, LONGEST_PASSWORD)],
    )
    again = PasswordField(
        _("New password, once more"), validators=[EqualTo("password", _("This is not the same password."))]
    )
    revoke_tokens = BooleanField(_("Also revoke my API tokens"))


class ForgottenForm(FlaskForm):  # type: ignore[misc]
    """Whose password was forgotten."""

    email = EmailField(_("E-mail address"), validators=[DataRequired(_("Enter your e-mail address.")), Length(max=254)])


class NewPasswordForm(FlaskForm):  # type: ignore[misc]
    """A password in the place of a forgotten one."""

    password = PasswordField(
        _("New password"),
        validators=[DataRequired(_("Enter a new password.")), Length(SHORTEST_PASSWORD, LONGEST_PASSWORD)],
    )
    again = PasswordField(
        _("New password, once more"), validators=[EqualTo("password", _("This is not the same password."))]
    )


def _languages() -> list[tuple[str, Any]]:
    """Each language in its own words, so that whoever can't read this page's finds theirs."""
    names = {tag: str(locale.get_display_name(locale)) for tag, locale in languages.available().items()}
    return [("", _("As my browser asks for")), *sorted((tag, name.capitalize()) for tag, name in names.items())]


class LanguageForm(FlaskForm):  # type: ignore[misc]
    """The language of pages and e-mails; nothing to choose where only English has texts."""

    language = SelectField(_("Language"), choices=_languages, validate_choice=True)

    @property
    def has_choice(self) -> bool:
        """Is there more than one language?"""
        return len(languages.available()) > 1
