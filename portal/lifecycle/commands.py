"""``portal sweep`` and ``portal doctor``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from portal.lifecycle import doctor
from portal.lifecycle import sweep as sweeping

MARKS = {True: "ok", None: "warn", False: "BROKEN"}


@click.command("sweep")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def sweep(as_json: bool) -> None:
    """One pass over what is due, now."""
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def examine(verify: bool, as_json: bool) -> None:
    """Look at every part; exit 1 when one is broken."""
    findings = doctor.examine(verify)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{MARKS[finding.ok]:7} {finding.name}: {finding.detail}")
    if any(finding.ok is False for finding in findings):
        sys.exit(1)
