"""Build the web site of the course: ``make site``.

The notebooks, the other texts and the pages that only the site has (``docs/pages/``) are copied
into one folder. It has the same structure as the repository, so that their links work. Sphinx
builds the site from that folder, as configured in ``docs/conf.py``. Every warning is an error.
"""

import re
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import build_main

from course import BUILD, EXERCISES, NOTEBOOKS, ROOT, WORDS, read
from course_map import draw
from readme import points, title

DOCS = ROOT / "docs"
SOURCE, BUILT = BUILD / "source", BUILD / "site"

# The pages of the site, and the files that can be downloaded from one.
PAGES = (
    "notebooks/*.ipynb",
    "notebooks/errors.md",
    "notebooks/tasks.md",
    "notebooks/exercises/release/*/*.ipynb",
    "TEACHING.md",
    "helpers/checkpoint.py",
    "LICENSE*",
    "CITATION.cff",
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
    (SOURCE / "search.html").write_text(search_form(), encoding="utf-8")
    (SOURCE / "map.html").write_text(draw(ROOT / "notebooks"), encoding="utf-8")
    (SOURCE / "exercises.txt").write_text("\n".join(map(exercises, NOTEBOOKS)), encoding="utf-8")


def search_form() -> str:
    """A form for the front page, which opens the index of errors with what was entered."""
    asked = f'aria-label="{WORDS["paste"]}" placeholder="{WORDS["paste"]}" required'
    return f"""<form class="index-search" action="notebooks/errors.html" role="search">
<textarea name="error" rows="1" spellcheck="false" {asked}></textarea>
<button type="submit">{WORDS["search"]}</button>
</form>
"""


def exercises(notebook: Path) -> str:
    """An entry for the list of exercises: a link, the points, and the titles of the exercises."""
    page = EXERCISES / "release" / notebook.stem / notebook.name
    prose = [cell.source for cell in read(page).cells if cell.cell_type == "markdown"]
    titles = re.findall(r"^## \d+ · (.+) \(\d+ \w+\)$", "\n".join(prose), re.MULTILINE)
    link = f"[{title(notebook)}]({page.relative_to(ROOT).as_posix()})"
    return f"- {link} · {points(notebook)} {WORDS['points']}\n\n  {' · '.join(titles)}\n"


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
