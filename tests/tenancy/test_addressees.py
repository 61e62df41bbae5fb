"""Whom mail goes to: owners of a workspace, admins of a tenant, operators; nobody who is blocked."""

from __future__ import annotations

from flask import Flask

from portal.admin import service as admin
from portal.database import enter, transaction
from portal.identity import service as identity
from portal.identity.models import User
from portal.mail.service import Addressee
from portal.tenancy import people
from tests.support.people import Cast


def block(cast: Cast, name: str) -> None:
    with transaction() as session:
        session.get_one(User, getattr(cast, name).id).active = False


def test_mail_about_a_workspace_goes_to_its_owners(cast: Cast, in_app: Flask) -> None:
    enter(cast.acme.id)
    assert people.owners_of(cast.press.id) == [Addressee("Alice", cast.alice.email)]
    assert people.owners_of(cast.lair.id) == [], "another tenant's"
    block(cast, "alice")
    enter(cast.acme.id)
    assert people.owners_of(cast.press.id) == []


def test_mail_about_a_tenant_goes_to_its_admins(cast: Cast, in_app: Flask) -> None:
    enter(cast.acme.id)
    assert people.admins_of(cast.acme.id) == [Addressee("Tina", cast.tina.email)]
    assert people.admins_of(cast.evil.id) == []


def test_mail_about_the_installation_goes_to_operators(cast: Cast, in_app: Flask) -> None:
    admin.make_operator(cast.tina.email)
    assert Addressee("Tina", cast.tina.email) in identity.operators()
    block(cast, "tina")
    assert Addressee("Tina", cast.tina.email) not in identity.operators()
