"""``portal sweep``, ``portal chore``, ``portal doctor`` and ``portal demo``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from portal.commands.accounts import application, as_json, tell

MARKS = {True: "ok", None: "warning", False: "BROKEN"}


@click.command("sweep")
@as_json
def sweep(as_json: bool) -> None:
    """One pass over what is due, now."""
    from portal.lifecycle import sweep as sweeping

    with application():
        done = dict(sweeping.run())
    if as_json:
        click.echo(json.dumps(done))
        return
    for job, count in sorted(done.items()):
        click.echo(f"{job}: {count}")
    if not done:
        click.echo("Nothing was due.")


@click.command("chore")
@click.argument("name", required=False)
@as_json
def chore(name: str | None, as_json: bool) -> None:
    """Do one of the daily chores now, or list them all."""
    from portal.lifecycle import periodic_tasks

    with application():
        if name is None:
            _list_chores(as_json)
            return
        outcome = periodic_tasks.run(name)
    tell(as_json, outcome.said, **asdict(outcome))
    if not outcome.ok:
        sys.exit(1)


def _list_chores(as_json: bool) -> None:
    from portal.lifecycle import periodic_tasks

    lines = periodic_tasks.standing()
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], default=str))
        return
    for line in lines:
        click.echo(f"{line.state:8} {line.name}: {line.said}")


@click.command("doctor")
@click.option("--verify", is_flag=True, help="Prove the invariants, too: counters, ledger, states, every object.")
@as_json
def examine(verify: bool, as_json: bool) -> None:
    """Look at every part; exit 1 when one is broken."""
    from portal.lifecycle import doctor

    with application():
        findings = doctor.examine(verify)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.ok]:8} {finding.name}: {finding.detail}")
    if any(finding.ok is False for finding in findings):
        sys.exit(1)


@click.command("demo")
@as_json
def demo(as_json: bool) -> None:
    """A tenant with people, workspaces and pictures, sent through the front door; repeatable."""
    from portal.admin import demo as scene

    with application():
        played = scene.play()
    tell(as_json, played.words(), **asdict(played), logins=played.logins())


@click.command("generate", hidden=True)
@click.option("--tenant", "slug", default="crowd", show_default=True, metavar="SLUG")
@click.option("--workspaces", type=click.IntRange(1, 10_000), default=500, show_default=True)
@click.option("--people", type=click.IntRange(1, 100_000), default=5_000, show_default=True)
@click.option("--assets", type=click.IntRange(1, 10_000_000), default=1_000_000, show_default=True)
@click.option("--admin", metavar="EMAIL", help="Somebody with a login, who becomes the tenant's administrator.")
def generate(slug: str, workspaces: int, people: int, assets: int, admin: str | None) -> None:
    """A tenant as large as the largest, to see how fast its pages are: rows only, no files in the store."""
    from portal import embedded
    from portal.admin import load_data

    with application():
        load_data.generate(embedded.discover(), slug, load_data.Size(workspaces, people, assets), admin, click.echo)
