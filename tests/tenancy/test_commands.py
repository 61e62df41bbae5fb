"""The commands that make tenants, people, workspaces and tokens, as an operator types them."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url, select

from portal import database
from portal.audit import AuditEvent
from portal.cli import main
from portal.database import db
from portal.folders.models import Library
from portal.mail.models import Email
from portal.quotas.models import TenantQuota, WorkspaceQuota
from portal.storage.models import StorageProfile
from portal.tenancy.models import Tenant, Workspace
from tests.support.engines import TestEngines
from tests.support.people import Cast, Client

COMMAND = [sys.executable, "-W", "error", "-c", "from portal.cli import main; main()"]


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


Portal = Callable[..., Done]


@pytest.fixture
def portal(engines: TestEngines) -> Portal:
    """Runs a command in this process: starting Python for each would take most of the time."""

    def run(*words: str, given: str = "") -> Done:
        done = CliRunner().invoke(main, words, input=given, env=engines.environment())
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exc_info
        return Done(done.exit_code, done.stdout, done.stderr)

    return run


def test_the_commands_run_as_a_program_of_their_own(engines: TestEngines, cast: Cast) -> None:
    words = ("token", "create", cast.alice.email, "--name", "script")
    environment = {"PATH": os.environ["PATH"], **engines.environment()}
    done = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("stw_") and done.stdout.count("\n") == 1


def test_a_company_from_nothing_to_a_token_that_works(portal: Portal, cast: Cast) -> None:
    slug = f"new-{secrets.token_hex(4)}"
    email = f"Ann@{slug}.example"
    made = portal("tenant", "create", slug, "--name", "New", "--plan", "free", "--json")
    assert made.returncode == 0, made.stderr
    tenant = json.loads(made.stdout)
    assert tenant["slug"] == slug and tenant["plan"] == "free"
    said = portal(
        "user", "create", email, "--tenant", slug, "--role", "admin", "--password-stdin", given="a long one\n"
    )
    assert said.returncode == 0, said.stderr
    made = portal(
        "workspace", "create", f"{slug}/press", "--name", "Press", "--owner", email, "--quota", "5000", "--json"
    )
    assert made.returncode == 0, made.stderr
    workspace = json.loads(made.stdout)
    printed = portal("token", "create", email, "--name", "ci", "--days", "5")
    assert printed.returncode == 0 and printed.stderr == ""
    assert printed.stdout.startswith("stw_") and printed.stdout.count("\n") == 1

    client = Client(cast.app)
    client.fixed = {"Authorization": f"Bearer {printed.stdout.strip()}"}
    me = client.get("/v1/me").get_json()
    assert me["user"]["email"] == email.lower()
    assert [(each["id"], each["role"]) for each in me["workspaces"]] == [(workspace["id"], "owner")]
    quota = client.get(f"/v1/workspaces/{workspace['id']}/quota").get_json()
    assert quota["limit_bytes"] == 5000

    with cast.app.app_context():
        found = db.session.scalars(select(Tenant).where(Tenant.slug == slug)).one()
        database.enter(found.id)
        assert db.session.scalars(select(TenantQuota)).one().limit_bytes == 1 << 30
        (place,) = db.session.scalars(select(Workspace))
        assert db.session.scalars(select(WorkspaceQuota)).one().workspace_id == place.id
        assert db.session.scalars(select(Library)).one().name == "Files"
        assert db.session.scalars(select(StorageProfile)).one().active
        actions = list(db.session.scalars(select(AuditEvent.action).order_by(AuditEvent.id)))
    assert actions == ["tenant.created", "tenant.member_added", "workspace.created", "workspace.member_set"]


def test_what_exists_is_said_in_words_with_exit_1(portal: Portal, cast: Cast) -> None:
    place, owner = f"{cast.acme.slug}/press", cast.alice.email
    for words in (
        ("tenant", "create", cast.acme.slug, "--name", "Acme", "--plan", "free"),
        ("user", "create", owner, "--tenant", cast.acme.slug, "--role", "member"),
        ("workspace", "create", place, "--name", "Press", "--owner", owner),
        ("workspace", "member", place, owner, "owner"),
    ):
        done = portal(*words)
        assert done.returncode == 1, words
        assert "already" in done.stderr and "Traceback" not in done.stderr
        assert done.stdout == ""


def test_what_does_not_exist_is_said_in_words_with_exit_1(portal: Portal, cast: Cast) -> None:
    for words in (
        ("user", "create", "x@y.example", "--tenant", "no-such", "--role", "member"),
        ("workspace", "create", "no-such/press", "--name", "Press", "--owner", cast.alice.email),
        ("workspace", "create", f"{cast.acme.slug}/new", "--name", "New", "--owner", "nobody@y.example"),
        ("workspace", "create", f"{cast.acme.slug}/new", "--name", "New", "--owner", cast.mallory.email),
        ("workspace", "member", f"{cast.acme.slug}/none", cast.alice.email, "viewer"),
        ("token", "create", "nobody@y.example", "--name", "x"),
        ("operator", "add", "nobody@y.example"),
        ("tenant", "create", "Bad Slug", "--name", "x", "--plan", "free"),
        ("tenant", "create", "a\n", "--name", "x", "--plan", "free"),
    ):
        done = portal(*words)
        assert done.returncode == 1, (words, done.stderr)
        assert done.stderr.strip() and "Traceback" not in done.stderr


def test_a_short_password_is_refused_and_leaves_nothing_behind(portal: Portal, cast: Cast) -> None:
    words = ("user", "create", "short@y.example", "--tenant", cast.acme.slug, "--role", "member", "--password-stdin")
    done = portal(*words, given="1234567\n")
    assert done.returncode == 1
    assert "8" in done.stderr and "1234567" not in done.stderr
    assert portal("token", "create", "short@y.example", "--name", "x").returncode == 1


def test_a_password_is_reset_and_everything_that_it_opened_ends(portal: Portal, cast: Cast) -> None:
    words = ("user", "password", cast.alice.email, "--password-stdin", "--json")
    assert cast.alice.api.get("/v1/me").status_code == 200
    assert portal(*words, given="12345678\n").returncode == 1
    done = portal(*words, given="several words of mine\n")
    assert json.loads(done.stdout) == {"email": cast.alice.email, "sessions": 0, "tokens": 1}
    assert cast.alice.api.get("/v1/me").status_code == 401
    assert portal("user", "password", "nobody@y.example", "--password-stdin", given="x\n").returncode == 1


def test_a_token_is_limited_by_the_command(portal: Portal, cast: Cast) -> None:
    words = ("token", "create", cast.alice.email, "--name", "ci", "--json")
    limits = ("--scope", "read", "--workspace", f"{cast.acme.slug}/press")
    made = json.loads(portal(*words, *limits).stdout)
    assert (made["scopes"], made["workspace_ids"]) == (["read"], [str(cast.press.id)])
    assert made["expires_at"].endswith("Z")
    for wrong in (("--scope", "root"), ("--days", "366"), ("--workspace", f"{cast.evil.slug}/lair")):
        assert portal(*words, *wrong).returncode != 0, wrong


def test_somebody_who_exists_is_added_to_another_tenant(portal: Portal, cast: Cast) -> None:
    done = portal("user", "create", cast.alice.email, "--tenant", cast.evil.slug, "--role", "member", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["created"] is False
    assert len(cast.alice.api.get("/v1/me").get_json()["tenants"]) == 2


def test_the_last_owner_can_not_step_down(portal: Portal, cast: Cast) -> None:
    place = f"{cast.acme.slug}/press"
    refused = portal("workspace", "member", place, cast.alice.email, "viewer")
    assert refused.returncode == 1 and "only owner" in refused.stderr
    assert portal("workspace", "member", place, cast.bob.email, "owner").returncode == 0
    changed = portal("workspace", "member", place, cast.alice.email, "viewer", "--json")
    assert json.loads(changed.stdout)["before"] == "owner"


def test_another_plan_comes_with_its_limit(portal: Portal, cast: Cast) -> None:
    done = portal("tenant", "plan", cast.acme.slug, "basic", "--json")
    assert json.loads(done.stdout) == {"slug": cast.acme.slug, "plan": "basic", "limit_bytes": 10 << 30}
    assert cast.alice.api.get(cast.url("quota")).get_json()["remaining_bytes"] == 10 << 30
    with cast.app.app_context():
        sent = select(Email.template).where(Email.recipient == cast.tina.email)
        assert db.session.scalars(sent).all() == ["plan_changed"]
    assert portal("tenant", "plan", cast.acme.slug, "enterprise").returncode == 0
    assert cast.alice.api.get(cast.url("quota")).get_json()["remaining_bytes"] is None
    assert portal("tenant", "plan", cast.acme.slug, "enterprise").returncode == 1, "it has it already"
    assert portal("tenant", "plan", cast.acme.slug, "golden").returncode == 2
    assert portal("tenant", "plan", "nowhere", "pro").returncode == 1
    renamed = portal("tenant", "rename", cast.acme.slug, "Acme  Pictures", "--json")
    assert json.loads(renamed.stdout)["name"] == "Acme Pictures"
    assert portal("tenant", "rename", cast.acme.slug, "").returncode == 1


def test_members_and_people_are_listed_changed_and_removed(portal: Portal, cast: Cast) -> None:
    place, bob = f"{cast.acme.slug}/press", cast.bob.email
    members = json.loads(portal("workspace", "members", place, "--json").stdout)
    assert [(each["name"], each["role"]) for each in members] == [
        ("Alice", "owner"),
        ("Bob", "editor"),
        ("Vera", "viewer"),
    ]
    assert bob in portal("workspace", "members", place).stdout
    assert json.loads(portal("tenant", "member", cast.acme.slug, bob, "admin", "--json").stdout)["role"] == "admin"
    assert portal("tenant", "disable", cast.acme.slug, bob).returncode == 0
    people = {each["email"]: each for each in json.loads(portal("tenant", "people", cast.acme.slug, "--json").stdout)}
    assert (people[bob]["role"], people[bob]["disabled"]) == ("admin", True)
    assert cast.bob.api.get(cast.url("assets")).status_code == 404
    assert portal("tenant", "enable", cast.acme.slug, bob).returncode == 0
    assert json.loads(portal("user", "rename", bob, " Bob  Brook ", "--json").stdout)["name"] == "Bob Brook"
    assert cast.bob.api.get("/v1/me").get_json()["user"]["name"] == "Bob Brook"
    assert portal("workspace", "remove-member", place, bob).returncode == 0
    assert portal("tenant", "remove-member", cast.acme.slug, bob).returncode == 0
    for words in (
        ("workspace", "remove-member", place, bob),
        ("workspace", "remove-member", place, cast.alice.email),
        ("tenant", "remove-member", cast.acme.slug, bob),
        ("tenant", "remove-member", cast.acme.slug, cast.tina.email),
        ("tenant", "disable", cast.acme.slug, cast.tina.email),
        ("tenant", "people", "nowhere"),
        ("user", "rename", bob, ""),
        ("user", "rename", "nobody@y.example", "Nobody"),
    ):
        done = portal(*words)
        assert done.returncode == 1 and done.stderr.strip() and "Traceback" not in done.stderr, words


def test_an_operator_is_made_once(portal: Portal, cast: Cast) -> None:
    assert portal("operator", "add", cast.alice.email).returncode == 0
    again = portal("operator", "add", cast.alice.email)
    assert again.returncode == 1 and "already" in again.stderr


def test_everything_missing_in_the_environment_is_reported_at_once(engines: TestEngines) -> None:
    environment = {"PATH": os.environ["PATH"], "PORTAL_DATABASE_URL": engines.settings().database_url}
    words = ("token", "create", "x@y.z", "--name", "n")
    done = subprocess.run([*COMMAND, *words], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    for name in ("PORTAL_REDIS_URL", "PORTAL_S3_ENDPOINT", "PORTAL_SECRET_KEYS", "PORTAL_BASE_URL"):
        assert name in done.stderr


def test_a_database_that_refuses_or_does_not_answer_is_reported_in_one_sentence(engines: TestEngines) -> None:
    environment = engines.environment()
    url = make_url(environment["PORTAL_DATABASE_URL"])
    for wrong in (url.set(password="wrong"), url.set(host="127.0.0.1", port=1, query={})):
        given = environment | {"PORTAL_DATABASE_URL": wrong.render_as_string(hide_password=False)}
        done = CliRunner().invoke(main, ("tenant", "create", "late", "--name", "Late", "--plan", "free"), env=given)
        assert (done.exit_code, done.stdout) == (1, "")
        assert done.stderr.startswith("The database can't be used: ") and done.stderr.count("\n") == 1


def test_a_tenants_limit_is_raised_until_a_day_and_lowered_again(portal: Portal, cast: Cast) -> None:
    slug = cast.acme.slug
    done = portal("tenant", "quota", slug, "--bytes", "200GB", "--until", "2999-01-31", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["limit_bytes"], found["plan_bytes"]) == (200 << 30, 100 << 30)
    assert found["override_until"].startswith("2999-02-01 00:00:00")
    assert "of 200 GB until 2999-02-01 00:00 UTC" in portal("tenant", "quota", slug).stdout
    over = portal("tenant", "quota", slug, "--bytes", "200GB", "--until", "2020-01-31")
    assert (over.returncode, "must end in the future" in over.stderr) == (1, True)
    assert "of 100 GB, as its plan says" in portal("tenant", "quota", slug, "--plan").stdout
