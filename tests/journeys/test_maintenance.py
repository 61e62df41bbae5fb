"""The two commands of an operator: one pass now, and is everything well?"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any
from uuid import UUID

from tests.support.api_client import done
from tests.support.deployment import Live
from tests.support.processes import ROOT


def portal(live: Live, *arguments: str) -> tuple[int, Any]:
    """Run a command as an operator does, on the stack's environment; its exit code and what it says as JSON."""
    command = [sys.executable, "-m", "portal", *arguments, "--json"]
    environment = live.stack.web.environment
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def test_the_doctor_says_what_is_broken_and_exits_with_one(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    alice.wait(alice.upload("a.txt", b"some words").asset_id)
    code, findings = portal(live, "doctor", "--verify")
    assert code == 0, findings
    names = {finding["name"] for finding in findings}
    assert {"database", "queue", "store", "scanner", f"tenant {cast.acme.slug}"} <= names

    wrong = "UPDATE workspace_quotas SET used_bytes = used_bytes %s 1 WHERE workspace_id = '%s'"
    live.stack.sql(wrong % ("+", cast.press.id))
    code, findings = portal(live, "doctor", "--verify")
    live.stack.sql(wrong % ("-", cast.press.id))
    assert code == 1
    broken = [finding for finding in findings if finding["ok"] is False]
    assert {finding["name"] for finding in broken} == {f"tenant {cast.acme.slug}"}
    assert all("used_bytes" in finding["detail"] for finding in broken)


def test_a_sweep_by_hand_does_what_is_due(live: Live) -> None:
    live.stack.clock.kill()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    begun = done(alice.begin("a.txt", 10), 201)
    live.stack.sql("UPDATE uploads SET expires_at = now() WHERE id = %s", UUID(begun["upload_id"]))
    live.stack.sql("UPDATE tasks SET due_at = now() WHERE target_id = %s", UUID(begun["upload_id"]))
    code, swept = portal(live, "sweep")
    assert (code, swept["expire"]) == (0, 1)
    assert alice.upload_state(begun["upload_id"])["state"] == "expired"
