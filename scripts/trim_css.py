"""Leave out of a stylesheet what no page of ours can use: rules for classes that occur in no template and no script.

A rule stays when every class that its selector demands occurs as a word in one of the sources. What is only excluded
(``:not(.x)``) or one of several (``:is(.x, .y)``) demands nothing. Elements, ids and attributes always stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

WORD = re.compile(r"[A-Za-z0-9_-]+")
CLASS = re.compile(r"\.((?:[A-Za-z0-9_-]|\\.)+)")
NAME = re.compile(r"--[A-Za-z0-9_-]+")
GROUPS = ("@media", "@supports", "@layer", "@container")


def trim(css: str, sources: Collection[str]) -> str:
    """The part of ``css`` that pages made of ``sources`` need; ``sources`` include stylesheets that build on it."""
    words = {word for source in sources for word in WORD.findall(source)}
    kept = _needed(css, words)
    kept = _without_unused_animations(kept, sources)
    while (fewer := _without_unused_variables(kept, sources)) != kept:
        kept = fewer
    return kept


def _blocks(css: str) -> Iterator[tuple[str, str | None]]:
    """The statements of a stylesheet or of a group: what stands before the braces, what stands in them (or None)."""
    depth, start, body, quote, at = 0, 0, 0, "", 0
    while at < len(css):
        character = css[at]
        if character == "\\":
            at += 1
        elif quote:
            quote = "" if character == quote else quote
        elif css.startswith("/*", at):
            at = css.index("*/", at) + 1
        elif character in "\"'":
            quote = character
        elif character == ";" and depth == 0:
            yield css[start:at], None
            start = at + 1
        elif character == "{":
            body = at if depth == 0 else body
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                yield css[start:body], css[body + 1 : at]
                start = at + 1
        at += 1


def _needed(css: str, words: Collection[str]) -> str:
    out = []
    for head, body in _blocks(css):
        comment = "".join(re.findall(r"/\*!.*?\*/", head, re.DOTALL))
        bare = re.sub(r"/\*.*?\*/", "", head, flags=re.DOTALL).strip()
        if body is None:
            out.append(f"{comment}{bare};")
        elif bare.startswith(GROUPS):
            inner = _needed(body, words)
            out.append(f"{comment}{bare}{{{inner}}}" if inner else comment)
        elif bare.startswith("@"):
            out.append(f"{comment}{bare}{{{body}}}")
        else:
            used = [selector for selector in _split(bare) if _demanded(selector) <= set(words)]
            out.append(f"{comment}{','.join(used)}{{{body}}}" if used else comment)
    return "".join(out)


def _split(selectors: str) -> list[str]:
    """A list of selectors at its outer commas."""
    parts, depth = [""], 0
    for character in selectors:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _demanded(selector: str) -> set[str]:
    """The classes without which a selector finds nothing."""
    while (outer := re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", selector)) != selector:
        selector = outer
    return {name.replace("\\", "") for name in CLASS.findall(selector)}


def _without_unused_animations(css: str, sources: Collection[str]) -> str:
    everything = css + "".join(sources)

    def is_used(head: str) -> bool:
        name = head.removeprefix("@keyframes ")
        return len(re.findall(rf"(?<![\w-]){re.escape(name)}(?![\w-])", everything)) > css.count(head)

    statements = ((head, body) for head, body in _blocks(css))
    return "".join(
        f"{head};" if body is None else f"{head}{{{body}}}"
        for head, body in statements
        if not head.startswith("@keyframes") or is_used(head)
    )


def _without_unused_variables(css: str, sources: Collection[str]) -> str:
    """Leave out declarations of variables that nothing reads any more."""
    asked = re.compile(r"var\(\s*(--[A-Za-z0-9_-]+)")
    read = set(asked.findall(css)) | {name for source in sources for name in NAME.findall(source)}
    return re.sub(
        r"(?<=[{;])(--[A-Za-z0-9_-]+):([^;{}]*)(;|(?=\}))",
        lambda found: found[0] if found[1] in read or "url(" in found[2] else "",
        css,
    )
