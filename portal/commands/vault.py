"""``portal vault``: the keys that seal credentials."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from portal.commands import application, as_json, report


@click.group()
def vault() -> None:
    """The keys that seal customers' credentials."""


@vault.command("rotate")
@as_json
def vault_rotate(as_json: bool) -> None:
    """Seal all credentials with the newest key of PORTAL_VAULT_KEYS, while everything runs. Safe to repeat."""
    from portal.lifecycle import vault_rotation

    with application():
        done = vault_rotation.rotate()
    sentence = f"{done.rewrapped} sealed with the newest key, {done.current} were sealed with it before."
    if done.closed:
        sentence += (
            f" {done.closed} open with none of the keys: keep the older keys, or have their owners enter them again."
        )
    report(as_json, sentence, **asdict(done))
    if done.closed:
        sys.exit(1)
