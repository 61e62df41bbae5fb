"""Who else has access, and how much the key could do that it need not."""

from __future__ import annotations

from portal.storage.probe.context import ProbeContext
from portal.storage.probe.results import Finding, passed, warned
from portal.texts import Text

READ = Text("Anybody can read every file whose address is known.")
LIST = Text("Anybody can list all files.")
WRITE = Text("Anybody can write and replace files.")


def private(context: ProbeContext) -> Finding:
    """Without a key nobody may read, list or write."""
    context.put("private.txt")
    address = context.location.address(public=True)
    public: list[Text] = []
    if context.browser.send("GET", f"{address}/{context.full_key('private.txt')}").ok:
        public.append(READ)
    if context.browser.send("GET", f"{address}?list-type=2&max-keys=1&prefix={context.location.full_key('')}").ok:
        public.append(LIST)
    if context.is_public_for_writing:
        public.append(WRITE)
    context.capabilities["private"] = not public
    if public:
        return warned(
            Text.join(Text("This bucket is public."), *public),
            Text("Block public access at the provider (on AWS: Block Public Access), and test again."),
        )
    return passed(Text("Without a key nothing can be read, listed or written."))


def privileges(context: ProbeContext) -> Finding:
    """A key that can do more is worth more to a thief. Tried without writing anything."""
    more: list[Text] = []
    names = context.store.list_bucket_names()
    if names and set(names) - {context.location.bucket}:
        more.append(Text("It can see the account's other buckets."))
    prefix = context.location.full_key("")
    if prefix and context.store.call("list_objects_v2", MaxKeys=1).ok:
        more.append(Text("It can list the bucket outside %(prefix)s.", prefix=prefix))
    if context.store.call("get_bucket_acl").data.get("Grants"):
        more.append(Text("It can read who else has access to the bucket."))
    if more:
        return warned(
            Text.join(Text("The key can do more than Stowage needs."), *more),
            Text("Give it exactly the rights of the policy shown on this page. Everything works with those."),
        )
    return passed(Text("The key can do what Stowage needs, and nothing else that was tried."))
