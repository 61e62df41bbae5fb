"""``portal sweep``, ``portal doctor`` and ``portal demo``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from portal.commands import application, as_json

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
def demo() -> None:
    """A tenant with people, workspaces and pictures, sent through the front door; repeatable."""
    from portal.admin import demo as scene

    with application():
        scene.play(click.echo)
