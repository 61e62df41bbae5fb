"""``portal doctor``: is every part well, and do the invariants hold?"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from portal.commands import application, as_json

LABELS = {True: "ok", None: "warning", False: "BROKEN"}


@click.command("doctor")
@click.option("--verify", is_flag=True, help="Prove the invariants, too: counters, ledger, states, every object.")
@as_json
def doctor(verify: bool, as_json: bool) -> None:
    """Look at every part; exit 1 when one is broken."""
    from portal.lifecycle.doctor import examine

    with application():
        findings = examine(verify)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    else:
        for finding in findings:
            click.echo(f"{LABELS[finding.ok]:8} {finding.name}: {finding.detail}")
    if any(finding.ok is False for finding in findings):
        sys.exit(1)
