"""The codebase keeps its own rules: imports, jobs, migrations, sizes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import create_engine

from portal import queue
from portal.database import Base, schema
from tests.support.engines import TestEngines

ROOT = Path(__file__).parent.parent.parent
MODULES = sorted((ROOT / "portal").rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def those_who_import(test: Callable[[str], bool]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in MODULES if any(test(name) for name in imported(path))}


def test_only_objectstore_and_the_probe_import_boto3() -> None:
    users = those_who_import(lambda name: name.split(".")[0] in ("boto3", "botocore"))
    allowed = ("portal/objectstore/", "portal/storage/probe/client.py")
    assert all(path.startswith(allowed) for path in users), users


def test_only_queue_and_worker_know_rq() -> None:
    assert those_who_import(lambda name: name.split(".")[0] == "rq") <= {"portal/queue.py", "portal/worker.py"}


def test_sql_text_is_written_only_where_sqlalchemy_cannot_say_it() -> None:
    users = those_who_import(lambda name: name == "sqlalchemy.text")
    assert {path for path in users if Path(path).name != "models.py"} == {  # models: conditions of partial indexes
        "portal/admin/load_data.py",  # generate_series and INSERT … SELECT over millions of rows
        "portal/lifecycle/doctor.py",  # Alembic's table and PostgreSQL's catalogue
        "portal/lifecycle/recount.py",  # four aggregates in one snapshot
    }


def test_services_jobs_and_models_do_not_look_at_the_request() -> None:
    looking = those_who_import(
        lambda name: name in ("flask.request", "flask.g", "flask.session", "flask_login.current_user")
    )
    allowed = {
        path
        for path in looking
        if path.startswith(("portal/web/", "portal/library/"))
        or Path(path).stem in ("api", "access")
        or Path(path).stem.endswith(("views", "_api"))
    }
    assert looking - allowed <= {
        "portal/admin/frame.py",
        "portal/database/session.py",  # in contexts without a request, too
        "portal/identity/login_attempts.py",  # the device cookie
        "portal/identity/security.py",  # the remember-me cookie that an older key signed
        "portal/storage/profiles.py",  # one reading for a page's pictures, notices and policy
    }


def test_packages_import_downwards_only() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", queue.JOBS)
def test_a_job_of_the_catalogue_resolves_and_has_a_worker(name: str) -> None:
    job = queue.JOBS[name]
    module, _, function = job.path.rpartition(".")
    assert callable(getattr(import_module(module), function))
    assert job.lane in queue.LANES


def test_migrations_match_the_models(engines: TestEngines) -> None:
    schema.import_models()
    engine = create_engine(engines.settings().migration_database_url or "")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_every_package_has_a_docstring() -> None:
    for package in (path for path in (ROOT / "portal").iterdir() if path.is_dir() and any(path.glob("*.py"))):
        docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text(encoding="utf-8")))
        assert docstring, package.name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert (node.end_lineno or 0) - node.lineno + 1 <= 60, node.name


def test_the_version_is_said_once(app: Flask) -> None:
    import tomllib

    from portal import __version__

    told = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert told == __version__
