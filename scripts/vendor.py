"""Refresh or verify the vendored front end in ``static/vendor``.

``python scripts/vendor.py`` fetches the exact versions named below with ``npm pack`` (npm's own configuration decides
where from), copies the files that are served, builds the icon sprite and writes ``manifest.json``. It refuses a file
whose bytes changed although its version did not. ``--check`` needs no network: it compares disk and manifest.

Pages load ``static/css/tabler.css``: what they use of Tabler, an eighth of it. Run ``--trim`` (no network) after a
template has begun to use another of its classes; ``--check`` tells.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

from trim_css import trim

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
MANIFEST = VENDOR / "manifest.json"
TABLER, TRIMMED = VENDOR / "tabler" / "tabler.min.css", ROOT / "static" / "css" / "tabler.css"
# Classes that templates put together from parts.
COMPOSED = "alert-success alert-info alert-warning alert-danger"

ICONS = re.findall(
    r"\S+",
    """
activity alert-triangle arrow-back-up arrow-left arrows-maximize building chart-bar check chevron-down
chevron-left chevron-right chevron-up circle-check circle-x clock cloud-upload copy database device-desktop
dots-vertical download eye file-text file-type-pdf file-unknown file-zip folder gauge info-circle key keyboard
layout-grid list loader-2 lock logout map-pin menu-2 minus moon pencil photo player-pause player-play plus
refresh search selector server shield-check shield-question shield-x stethoscope sun tool trash trash-x upload
user users vector video webhook x zoom-in
""",
)


@dataclass(frozen=True)
class Package:
    """One npm package: where it goes in ``static/vendor`` and which of its files (source path -> name there)."""

    folder: str
    name: str
    version: str
    licence: str
    files: dict[str, str]


PACKAGES = (
    Package("tabler", "@tabler/core", "1.6.1", "MIT", {"dist/css/tabler.min.css": "tabler.min.css"}),
    Package("tabler-icons", "@tabler/icons", "3.51.0", "MIT", {"LICENSE": "LICENSE"}),
    Package("htmx", "htmx.org", "2.0.11", "0BSD", {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "LICENSE"}),
    Package(
        "uppy",
        "uppy",
        "5.2.4",
        "MIT",
        {"dist/uppy.min.js": "uppy.min.js", "dist/uppy.min.css": "uppy.min.css", "LICENSE": "LICENSE"},
    ),
    # Uppy's queue and its request with progress and time-out by themselves, in the version that uppy 5.2.4 is built of:
    # the bundle does not export them.
    Package(
        "uppy-utils",
        "@uppy/utils",
        "7.2.0",
        "MIT",
        {
            "lib/RateLimitedQueue.js": "RateLimitedQueue.js",
            "lib/fetcher.js": "fetcher.js",
            "lib/NetworkError.js": "NetworkError.js",
            "lib/ProgressTimeout.js": "ProgressTimeout.js",
            "LICENSE": "LICENSE",
        },
    ),
    Package(
        "chart.js", "chart.js", "4.6.1", "MIT", {"dist/chart.umd.min.js": "chart.umd.min.js", "LICENSE.md": "LICENSE"}
    ),
    Package(
        "noble-hashes",
        "@noble/hashes",
        "2.4.0",
        "MIT",
        {name: name for name in ("sha2.js", "_md.js", "_u64.js", "utils.js", "LICENSE")},
    ),
)

# The package ships no licence file; its stylesheet's banner names the holders and the licence.
TABLER_LICENCE = """MIT License

Copyright 2018-2026 The Tabler Authors
Copyright 2018-2026 codecalm.net Pawel Kuna
Contains Bootstrap, Copyright 2011-2026 The Bootstrap Authors (MIT)

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def say(*lines: str) -> None:
    """Write lines to standard output."""
    sys.stdout.write("\n  ".join(lines) + "\n")


def fetch(package: Package, folder: Path) -> Path:
    """Download and unpack one package with npm; returns the unpacked folder. Raises CalledProcessError."""
    target = folder / package.folder
    target.mkdir()
    command = ["npm", "pack", "--silent", "--pack-destination", str(target), f"{package.name}@{package.version}"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (archive,) = target.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")
    return target / "package"


def sprite(icons: Path) -> str:
    """One SVG with a ``<symbol>`` for each icon in use, strokes in the colour of the text around it."""
    symbols = []
    for name in sorted(ICONS):
        source = (icons / "icons" / "outline" / f"{name}.svg").read_text(encoding="utf-8")
        body = re.sub(r"<!--.*?-->", "", source, flags=re.DOTALL)
        inner = re.sub(r"\s*\n\s*", "", body[body.index(">", body.index("<svg")) + 1 : body.rindex("</svg>")])
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" '
            f'stroke-linecap="round" stroke-linejoin="round">{inner}</symbol>'
        )
    return '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"


def collect(package: Package, unpacked: Path) -> dict[str, bytes]:
    """The files of one package as they will lie in ``static/vendor/<folder>``."""
    files = {target: (unpacked / source).read_bytes() for source, target in package.files.items()}
    if package.folder == "tabler":
        files["LICENSE"] = TABLER_LICENCE.encode()
        files["tabler.min.css"] = re.sub(rb"\n?/\*# sourceMappingURL=.*?\*/", b"", files["tabler.min.css"])
    if package.folder == "tabler-icons":
        files["sprite.svg"] = sprite(unpacked).encode()
    if package.folder == "chart.js":
        files["chart.umd.min.js"] = re.sub(rb"\n//# sourceMappingURL=.*", b"", files["chart.umd.min.js"])
    if package.folder == "uppy":
        files["uppy.min.js"] = re.sub(rb"\n//# sourceMappingURL=.*", b"", files["uppy.min.js"])
    return files


def entry(package: Package, files: dict[str, bytes]) -> dict[str, object]:
    """What the manifest says of one package."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    return {"package": package.name, "version": package.version, "licence": package.licence, "sha256": digests}


def changed_in_place(old: dict[str, dict[str, object]], new: dict[str, dict[str, object]]) -> list[str]:
    """Files whose digest differs from the manifest although the version is the same (our own sprite may change)."""
    changed = []
    for folder, now in new.items():
        before = old.get(folder)
        if before is None or before["version"] != now["version"]:
            continue
        known, fresh = before["sha256"], now["sha256"]
        assert isinstance(known, dict) and isinstance(fresh, dict)
        changed += [
            f"{folder}/{name}" for name in fresh if name != "sprite.svg" and known.get(name, fresh[name]) != fresh[name]
        ]
    return changed


def refresh() -> int:
    """Fetch everything, write files and manifest; returns the exit code."""
    old = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        content = {package.folder: collect(package, fetch(package, Path(scratch))) for package in PACKAGES}
    manifest = {package.folder: entry(package, content[package.folder]) for package in PACKAGES}
    if changed := changed_in_place(old, manifest):
        say("These files changed although their version did not; nothing was written:", *changed)
        return 1
    for folder, files in content.items():
        (VENDOR / folder).mkdir(parents=True, exist_ok=True)
        for name, data in files.items():
            (VENDOR / folder / name).write_bytes(data)
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    write_trimmed()
    say(f"{sum(map(len, content.values()))} files of {len(PACKAGES)} packages written to {VENDOR.relative_to(ROOT)}")
    return 0


def trimmed() -> str:
    """What our pages use of Tabler."""
    pages = [
        *(ROOT / "templates").rglob("*.html"),
        *(ROOT / "static" / "js").glob("*.js"),
        TRIMMED.with_name("stowage.css"),
    ]
    return trim(TABLER.read_text("utf-8"), [COMPOSED, *(path.read_text("utf-8") for path in sorted(pages))])


def write_trimmed() -> int:
    """Write it where pages load it from; returns the exit code."""
    TRIMMED.write_text(trimmed(), "utf-8")
    return 0


def check() -> int:
    """Compare disk and manifest; returns the exit code."""
    manifest = json.loads(MANIFEST.read_text())
    wanted = {
        f"{folder}/{name}": digest for folder, item in manifest.items() for name, digest in item["sha256"].items()
    }
    found = {
        str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path != MANIFEST
    }
    wrong = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    for name in wrong:
        say(f"static/vendor/{name} differs from the manifest")
    if TRIMMED.read_text("utf-8") != trimmed():
        wrong.append(TRIMMED.name)
        say("static/css/tabler.css is not what the templates use: run python scripts/vendor.py --trim")
    return 1 if wrong else 0


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only compare the files with the manifest")
    parser.add_argument("--trim", action="store_true", help="only write anew what pages use of Tabler")
    chosen = parser.parse_args()
    return check() if chosen.check else write_trimmed() if chosen.trim else refresh()


if __name__ == "__main__":
    sys.exit(main())
