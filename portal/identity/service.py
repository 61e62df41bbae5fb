"""Commands and queries of identity: people, and the tokens that act for them.

Commands run inside the caller's transaction where it is written so; everything else opens its own.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from flask import current_app
from flask_babel import gettext as _
from flask_security.utils import hash_password, verify_password
from sqlalchemy import ColumnElement, func, or_, select, update

from portal.database import db, now, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.identity import passwords, sessions
from portal.identity.models import ApiToken, User
from portal.identity.scopes import Scope
from portal.mail import service as mail
from portal.mail.service import Addressee
from portal.names import checked_label
from portal.settings import Settings
from portal.web import languages

log = logging.getLogger(__name__)

_WORKS = (ApiToken.revoked_at.is_(None), or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > func.now()))

TOKEN_PREFIX = "stw_"  # noqa: S105  # so that scanners for leaked secrets, and people, recognise one
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
LONGEST_NAME = 100
LONGEST_PERSON_NAME = 200
USUAL_TOKEN_DAYS = 365
# A private network may well have people at these; nothing is sent to an address to find out.
SPECIAL_USE_DOMAIN_NAMES[:] = [name for name in SPECIAL_USE_DOMAIN_NAMES if name not in {"local", "localhost", "test"}]


@dataclass(frozen=True)
class Person:
    """Somebody who proved who they are; ``session_id`` None: by an API token.

    ``scopes`` and ``workspace_ids`` are the token's; None: everything that the person may do, everywhere.
    """

    id: UUID
    email: str
    name: str
    is_operator: bool = False
    session_id: UUID | None = None
    language: str | None = None  # the tag of what they chose; None: what the browser asks for
    scopes: frozenset[Scope] | None = None
    workspace_ids: frozenset[UUID] | None = None

    is_authenticated = is_active = True  # what Flask-Login asks of ``current_user``
    is_anonymous = False

    @property
    def shown_name(self) -> str:
        """What others see."""
        return self.name or self.email


def normal_email(email: str) -> str:
    """An address as it is stored. Raises ``Invalid``."""
    try:
        checked = validate_email(email.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise Invalid(_("“%(email)s” is not an e-mail address.", email=email.strip()), field="email") from None
    return checked.normalized.lower()


def find_user(email: str) -> User | None:
    """The person with this address, in whatever case it is written."""
    if "\0" in email:
        return None
    return db.session.scalar(select(User).where(func.lower(User.email) == email.strip().lower()))


def create_user(email: str, password: str, *, name: str = "") -> User:
    """Add a person; belongs inside the caller's transaction.

    Raises ``Invalid`` for a bad address, password or name, ``Conflict`` when the address is taken.
    """
    address = normal_email(email)
    if find_user(address) is not None:
        raise Conflict(_("There is already a user %(address)s.", address=address))
    hashed = hash_password(checked_password(password, address, name))
    label = checked_label(name, LONGEST_PERSON_NAME, required=False)
    user = User(email=address, name=label, password=hashed, fs_uniquifier=secrets.token_hex(32))
    db.session.add(user)
    db.session.flush()
    return user


def checked_password(password: str, email: str, name: str = "") -> str:
    """The password, when it may be one; ``email`` and ``name`` are its person's. Raises ``Invalid``."""
    # Whoever guesses begins with the address, with and without its domain (NIST SP 800-63B, 5.1.1.2).
    if password.strip().casefold() in (email.casefold(), email.partition("@")[0].casefold()):
        raise Invalid(_("Your e-mail address can't be your password."), field="password")
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD or "\0" in password:
        raise Invalid(
            _(
                "A password must have %(least)s to %(most)s characters; this one has %(count)s.",
                least=SHORTEST_PASSWORD,
                most=LONGEST_PASSWORD,
                count=len(password),
            ),
            field="password",
        )
    if (reason := passwords.weakness(password, email, name)) is not None:
        raise Invalid(
            _("This password is too easy to guess: %(reason)s. Take several words, or more characters.", reason=reason),
            field="password",
        )
    return password


def proves(user_id: UUID, password: str) -> bool:
    """Whether this is the person's password; the caller counts the attempts."""
    user = db.session.get(User, user_id)
    if user is None or user.password is None or not 1 <= len(password) <= LONGEST_PASSWORD:
        return False
    return bool(verify_password(password, user.password))


def stands(user_id: UUID, hashed: str | None) -> bool:
    """Whether this password, which was just proved, still counts, and its person may log in; inside a transaction.

    Until that ends neither changes, so that no session begins beside another password or a block.
    """
    same = select(User.id).where(User.id == user_id, User.password == hashed, User.active)
    return db.session.scalar(same.with_for_update(read=True)) is not None


def change_password(person: Person, current: str, password: str, *, revoke_tokens: bool = False) -> int:
    """Another password; every session but the one that asks ends, and the tokens where ``revoke_tokens`` says so.

    Gives the number of tokens that were revoked. The caller counts the attempts.
    Raises ``Invalid`` naming the field (``current``, ``password``).
    """
    if not proves(person.id, current):
        raise Invalid(_("This is not your password."), field="current")
    hashed = hash_password(checked_password(password, person.email, person.name))
    with transaction():
        set_password(person.id, hashed)
        sessions.end_all(person.id, but=person.session_id)
        # Whoever took over a session can't change the password in silence.
        to = [Addressee(person.name, person.email, person.language)]
        mail.enqueue("password_changed", to, None, at=now(), path="/account")
        revoked = revoke_all_tokens(person.id) if revoke_tokens else 0
    log.warning("%s changed the password", person.id)
    return revoked


def reset_password(user: User, password: str) -> tuple[int, int]:
    """Another password by an operator, for somebody who lost theirs, or lost it to somebody.

    Whoever else knew the old one may have a session or a token by now: all end. Gives how many sessions, and tokens.
    Raises ``Invalid``.
    """
    user_id, hashed = user.id, hash_password(checked_password(password, user.email, user.name))
    with transaction():
        set_password(user_id, hashed)
        ended = sessions.end_all(user_id), revoke_all_tokens(user_id)
    log.warning("the password of %s was reset", user_id)
    return ended


def set_password(user_id: UUID, hashed: str, *conditions: ColumnElement[bool]) -> bool:
    """Write another password; whether there was somebody to whom the conditions apply.

    The links for a forgotten password name a person by ``fs_uniquifier``: all that are under way end with it.
    """
    values = {"password": hashed, "fs_uniquifier": secrets.token_hex(32)}
    statement = update(User).where(User.id == user_id, *conditions).values(values).returning(User.id)
    return db.session.scalar(statement) is not None


def choose_language(user_id: UUID, language: str | None) -> None:
    """Remember which language a person reads (a tag, or None: what their browser asks for). Raises ``Invalid``."""
    if language is not None and language not in languages.available():
        raise Invalid(_("There is no translation into this language."), field="language")
    with transaction():
        db.session.execute(update(User).where(User.id == user_id).values(language=language))


def rename(user_id: UUID, name: str) -> str:
    """Give a person another name, which is what others see; as it is stored. Raises ``Invalid``."""
    label = checked_label(name, LONGEST_PERSON_NAME)
    with transaction():
        db.session.execute(update(User).where(User.id == user_id).values(name=label))
    return label


def make_operator(user: User) -> None:
    """Let a person run the installation; belongs inside the caller's transaction. Raises ``Conflict``."""
    if user.is_operator:
        raise Conflict(_("%(email)s is an operator already.", email=user.email))
    user.is_operator = True
    log.info("%s is an operator now", user.id)


def operators() -> list[Addressee]:
    """Whom mail about the installation goes to: its operators who can sign in."""
    people = select(User.name, User.email, User.language).where(User.is_operator, User.active).order_by(User.email)
    return [Addressee(name, email, language) for name, email, language in db.session.execute(people)]


def block(user_id: UUID, actor_id: UUID) -> User:
    """End every session of a person, and refuse their password and tokens from now on; in the caller's transaction.

    Raises ``NotFound``, ``Conflict`` for oneself and for who is blocked already.
    """
    user = db.session.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFound(_("There is no such person."))
    if user.id == actor_id:
        raise Conflict(_("You can't block yourself: another operator can."))
    if not user.active:
        raise Conflict(_("%(email)s is blocked already.", email=user.email))
    user.active = False
    sessions.end_all(user.id)
    log.warning("%s was blocked by %s", user.id, actor_id)
    return user


def unblock(user_id: UUID, actor_id: UUID) -> User:
    """Let a blocked person log in again; their tokens work again, old sessions do not.

    Belongs inside the caller's transaction. Raises ``NotFound``, ``Conflict``.
    """
    user = db.session.get(User, user_id, with_for_update=True, populate_existing=True)
    if user is None:
        raise NotFound(_("There is no such person."))
    if user.active:
        raise Conflict(_("%(email)s is not blocked.", email=user.email))
    user.active = True
    sessions.end_all(user.id)  # one that a login began while the block was being written
    log.warning("%s was unblocked by %s", user.id, actor_id)
    return user


def list_blocked(most: int) -> list[User]:
    """Who is blocked, by address."""
    return list(db.session.scalars(select(User).where(~User.active).order_by(User.email).limit(most)))


def hash_token(plain: str) -> str:
    """What is kept of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(plain.encode()).hexdigest()


def longest_token_days() -> int:
    """How many days a new token is valid at most, as the operator decides. Older tokens keep their date."""
    settings: Settings = current_app.extensions["portal.settings"]
    return settings.token_days


def usual_token_days() -> int:
    """How many days a new token is valid when nobody says otherwise."""
    return min(USUAL_TOKEN_DAYS, longest_token_days())


def create_token(
    user_id: UUID,
    name: str,
    *,
    days: int | None = None,
    scopes: Collection[Scope] = tuple(Scope),
    workspace_ids: Collection[UUID] | None = None,
) -> tuple[ApiToken, str]:
    """Make a token that acts for a person; belongs inside the caller's transaction.

    ``days`` None: the usual life. ``workspace_ids`` None: wherever the person is a member; the caller has checked that
    they are one there. Gives the row and the token itself, which is nowhere else. Raises ``Invalid``.
    """
    name = checked_label(name, LONGEST_NAME)
    days = usual_token_days() if days is None else days
    if not 1 <= days <= longest_token_days():
        raise Invalid(_("A token is valid for 1 to %(most)s days.", most=longest_token_days()), field="days")
    if not scopes:
        raise Invalid(_("Choose at least one thing that the token may do."), field="scopes")
    plain = TOKEN_PREFIX + secrets.token_urlsafe(32)
    row = ApiToken(
        user_id=user_id,
        name=name,
        hint=plain[:8],
        token_hash=hash_token(plain),
        expires_at=now() + timedelta(days=days),
        scopes=[scope.value for scope in Scope if scope in scopes],
        workspace_ids=None if workspace_ids is None else list(workspace_ids),
    )
    db.session.add(row)
    db.session.flush()
    log.info("token %s (%s) was made for %s", row.hint, name, user_id)
    return row, plain


def list_tokens(user_id: UUID, *, after: UUID | None = None, most: int | None = None) -> list[ApiToken]:
    """A person's tokens that were not revoked, the newest first; expired ones are shown as such.

    ``after``: the last of the page before, ``most``: how many of them; None: all.
    """
    query = select(ApiToken).where(ApiToken.user_id == user_id, ApiToken.revoked_at.is_(None))
    if after is not None:
        query = query.where(ApiToken.id < after)
    return list(db.session.scalars(query.order_by(ApiToken.id.desc()).limit(most)))


def revoke_token(user_id: UUID, token_id: UUID) -> None:
    """End a token of this person; belongs inside the caller's transaction. Raises ``NotFound``."""
    token = db.session.get(ApiToken, token_id, with_for_update=True)
    if token is None or token.user_id != user_id or token.revoked_at is not None:
        raise NotFound(_("There is no such token."))
    token.revoked_at = now()
    log.info("token %s of %s was revoked", token.hint, user_id)


def count_tokens(user_id: UUID) -> int:
    """How many tokens of a person work."""
    return (
        db.session.scalar(select(func.count()).select_from(ApiToken).where(ApiToken.user_id == user_id, *_WORKS)) or 0
    )


def revoke_all_tokens(user_id: UUID) -> int:
    """End every token of a person that works, inside the caller's transaction; how many."""
    statement = (
        update(ApiToken).where(ApiToken.user_id == user_id, *_WORKS).values(revoked_at=now()).returning(ApiToken.id)
    )
    count = len(db.session.scalars(statement.execution_options(synchronize_session=False)).all())
    log.info("%s tokens of %s were revoked", count, user_id)
    return count


_TOUCH_AFTER = timedelta(minutes=1)


def authenticate(plain: str) -> Person | None:
    """Whom a token acts for, or None when it is unknown, expired or revoked, or its owner is not active."""
    query = (
        select(ApiToken.id.label("token_id"), ApiToken.last_used_at, ApiToken.scopes, ApiToken.workspace_ids)
        .add_columns(User.id, User.email, User.name, User.is_operator)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.token_hash == hash_token(plain), *_WORKS, User.active)
    )
    row = db.session.execute(query).one_or_none()
    if row is None:
        return None
    touch(row.token_id, row.last_used_at)
    return person_of_token(row.id, row.email, row.name, row.is_operator, row.scopes, row.workspace_ids)


def person_of_token(
    user_id: UUID, email: str, name: str, is_operator: bool, scopes: list[str] | None, workspace_ids: list[UUID] | None
) -> Person:
    """A person who is here by a token, with its limits as the row has them.

    A scope that this release does not know (the row is a later one's) opens nothing.
    """
    known = frozenset(scope for scope in Scope if scope in scopes) if scopes is not None else None
    places = frozenset(workspace_ids) if workspace_ids is not None else None
    return Person(user_id, email, name, is_operator, scopes=known, workspace_ids=places)


def touch(token_id: UUID, last_used_at: datetime | None) -> None:
    """Note that a token was used; at most once a minute, so that a busy client costs no write a request."""
    if last_used_at is None or now() - last_used_at > _TOUCH_AFTER:
        with transaction():
            used = update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=func.now())
            db.session.execute(used.execution_options(synchronize_session=False))
