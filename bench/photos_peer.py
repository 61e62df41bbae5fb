"""The peer of ``bench.photos``: scan and render each file of a folder, some at a time. Prints the seconds it took.

Arguments: clamd's address, the folder with JPEGs, how many files at a time. The results go into folders beside them:
the child that renders sees one folder.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from portal.inspection.clamd import ClamdClient
from portal.previews import renderer


def main(scanner_url: str, photos: str, at_once: str) -> None:
    """Both steps are other processes' work, clamd's and the renderer's child's, so threads are enough."""

    def process(photo: Path) -> None:
        with photo.open("rb") as file, ClamdClient(scanner_url) as clamd:
            if found := clamd.scan_descriptor(file.fileno()):
                raise RuntimeError(f"{photo.name}: {found}")
        results = photo.with_suffix("")
        results.mkdir()
        renderer.render(photo, "image/jpeg", results)

    files = sorted(Path(photos).glob("*.jpg"))
    began = time.perf_counter()
    with ThreadPoolExecutor(int(at_once)) as pool:
        list(pool.map(process, files))
    print(time.perf_counter() - began)


if __name__ == "__main__":
    main(*sys.argv[1:])
