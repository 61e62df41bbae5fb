"""``portal demo`` and ``portal generate``: tenants to look at and to measure with."""

from __future__ import annotations

from dataclasses import asdict

import click

from portal.commands import application, as_json, report


@click.command("demo")
@as_json
def demo(as_json: bool) -> None:
    """Create a tenant with people, workspaces and pictures, uploaded through the API; repeatable."""
    from portal.admin.demo import create

    with application():
        created = create()
    report(as_json, created.summary(), **asdict(created), logins=created.logins())


@click.command("generate", hidden=True)
@click.option("--tenant", "slug", default="crowd", show_default=True, metavar="SLUG")
@click.option("--workspaces", type=click.IntRange(1, 10_000), default=500, show_default=True)
@click.option("--people", type=click.IntRange(1, 100_000), default=5_000, show_default=True)
@click.option("--assets", type=click.IntRange(1, 10_000_000), default=1_000_000, show_default=True)
@click.option("--admin", metavar="EMAIL", help="An existing user, who becomes the tenant's administrator.")
def generate(slug: str, workspaces: int, people: int, assets: int, admin: str | None) -> None:
    """Create a very large tenant for load tests: rows only, no objects in the store."""
    from portal import embedded
    from portal.admin import load_data

    with application():
        load_data.generate(embedded.discover(), slug, load_data.Size(workspaces, people, assets), admin, click.echo)
