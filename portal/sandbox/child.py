"""The child's side: ``python -m portal.sandbox.child``, one JSON request on stdin, one JSON answer on stdout.

Its start is paid for every file: nothing is imported here that it does not need.
"""

import importlib
import json
import sys
from pathlib import Path

from portal.sandbox import confinement
from portal.sandbox.confinement import SandboxLimits


def main() -> None:
    """Confine this process, then call the function that the request names; answers ``{result, layers}``."""
    request = json.load(sys.stdin)
    folder = Path(request["folder"])
    limits = SandboxLimits(**request["limits"])
    layers = confinement.confine(folder, folder / request["source"], folder / request["out_dir"], limits)
    module, _, name = request["function"].partition(":")
    # Imported now, because a decoder's own start belongs inside.
    result = getattr(importlib.import_module(module), name)(request["argument"])
    json.dump({"result": result, "layers": layers.as_json()}, sys.stdout)


def nothing(_argument: object) -> None:
    """For a look at the layers alone."""


if __name__ == "__main__":
    main()
