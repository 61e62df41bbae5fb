"""Who else can come in, and how much the key could do that it need not."""

from __future__ import annotations

from portal.storage.probe.context import Trial
from portal.storage.probe.results import Finding, passed, warned


def private(trial: Trial) -> Finding:
    """Without a key nobody may read, list or write."""
    trial.put("private.txt")
    address = trial.signer.location.address(public=True)
    url = f"{address}/{trial.full('private.txt')}"
    listing = f"{address}?list-type=2&max-keys=1&prefix={trial.location.full_key('')}"
    open_to = []
    if trial.browser.send("GET", url).ok:
        open_to.append("read every file whose address is known")
    if trial.browser.send("GET", listing).ok:
        open_to.append("list all files")
    if trial.takes_from_anybody:
        open_to.append("write and replace files")
    trial.can["private"] = not open_to
    if open_to:
        return warned(
            f"This bucket is public: anybody, without a key, can {' and '.join(open_to)}.",
            "Take away public access at the provider (on AWS: Block Public Access), and test again.",
        )
    return passed("Without a key nothing can be read, listed or written.")


def privileges(trial: Trial) -> Finding:
    """A key that can do more is worth more to a thief. Asked without writing anything."""
    more = []
    names = trial.store.names()
    if names and set(names) - {trial.location.bucket}:
        more.append("see the account's other buckets")
    prefix = trial.location.full_key("")
    if prefix and trial.store.ask("list_objects_v2", MaxKeys=1).ok:
        more.append(f"list the bucket outside {prefix}")
    if trial.store.ask("get_bucket_acl").data.get("Grants"):
        more.append("read who else has access to the bucket")
    if more:
        return warned(
            f"The key can do more than Stowage needs: it can {', and '.join(more)}.",
            "Give it exactly the rights of the policy shown on this page. Everything works with those.",
        )
    return passed("The key can do what Stowage needs, and nothing else that was tried.")
