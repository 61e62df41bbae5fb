"""``portal doctor``: does every part work, and do the invariants hold?"""

from __future__ import annotations

import json
import sys

import click

from portal.commands import application, as_json

LABELS = {True: "ok", None: "warning", False: "BROKEN"}


@click.command("doctor")
@click.option("--verify", is_flag=True, help="Check the invariants, too: counters, ledger, states, every object.")
@as_json
def doctor(verify: bool, as_json: bool) -> None:
    """Check every part; exit 1 when one is broken."""
    from portal.lifecycle.doctor import examine

    with application():
        findings = examine(verify)
    if as_json:
        entries = [{"name": each.name, "ok": each.ok, "detail": each.detail.english} for each in findings]
        click.echo(json.dumps(entries))
    else:
        for finding in findings:
            click.echo(f"{LABELS[finding.ok]:8} {finding.name}: {finding.detail.english}")
    if any(finding.ok is False for finding in findings):
        sys.exit(1)
