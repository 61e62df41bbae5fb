"""Bringing the database to this release: Alembic's revisions, run as the owner of the tables."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import make_url

from portal.settings import Settings

if TYPE_CHECKING:  # imported where it is used: web and workers load this module for the tables alone
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"
PACKAGES_WITH_TABLES = (
    "events",
    "identity",
    "tenancy",
    "storage",
    "quotas",
    "usage",
    "assets",
    "uploads",
    "delivery",
    "quarantine",
    "migration",
    "webhooks",
    "people",
    "lifecycle",
)


def import_models() -> None:
    """Load every table into the one metadata."""
    import_module("portal.audit")
    import_module("portal.tasks.models")
    import_module("portal.inspection.scan_policy")
    import_module("portal.assets.daily_counts")
    for package in PACKAGES_WITH_TABLES:
        import_module(f"portal.{package}.models")


def alembic_config(owner_url: str, application_role: str) -> Config:
    """Alembic's configuration, built rather than read: addresses hold passwords and stay out of files."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = owner_url
    config.attributes["application_role"] = application_role
    return config


def upgrade(settings: Settings) -> None:
    """Run what is missing, as the owner: the settings were read with theirs."""
    from alembic import command

    assert settings.migration_database_url is not None
    role = make_url(settings.database_url).username or ""
    command.upgrade(alembic_config(settings.migration_database_url, role), "head")
