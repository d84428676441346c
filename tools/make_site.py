"""Build the web site of the course: ``make site``.

The notebooks, the other texts and the pages that only the site has (``docs/pages/``) are copied
into one folder. It has the same structure as the repository, so that their links work. Sphinx
builds the site from that folder, as configured in ``docs/conf.py``. Every warning is an error.
"""

import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from course import BUILD, ROOT
from course_map import draw

DOCS = ROOT / "docs"
SOURCE, BUILT = BUILD / "source", BUILD / "site"

# The pages of the site, and the files that can be downloaded from one.
PAGES = (
    "notebooks/*.ipynb",
    "notebooks/errors.md",
    "notebooks/exercises/release/*/*.ipynb",
    "TEACHING.md",
    "helpers/checkpoint.py",
    ".github/*.png",
)


def collect() -> None:
    """Empty ``SOURCE`` and copy all sources of the site into it."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    shutil.copytree(DOCS / "pages", SOURCE)
    for pattern in PAGES:
        for path in ROOT.glob(pattern):
            copy = SOURCE / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy)
    (SOURCE / "map.html").write_text(draw(ROOT / "notebooks"), encoding="utf-8")


def main(built: Path = BUILT) -> int:
    """Build the site into a folder. Returns Sphinx's exit status, 0 if there was no warning."""
    collect()
    shutil.rmtree(built, ignore_errors=True)
    status = build_main(
        ["-W", "--keep-going", "-q", "-E", "-j", "auto", "-c", str(DOCS)]
        + ["-d", str(BUILD / "doctrees"), str(SOURCE), str(built)]
    )
    if status == 0:
        print(f"The site: {built / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
