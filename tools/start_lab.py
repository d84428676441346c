"""Update your copy of the course in ``mine/``, and open JupyterLab in it: ``make lab``.

The root of JupyterLab is the repository, so that links can also lead to the helpers. The settings
in ``lab/`` apply to this server only. Your own settings of JupyterLab take precedence over
``lab/overrides.json``.
"""

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import quote

try:
    from jupyterlab.labapp import LabApp

    import learners_copy
    from course import NOTEBOOKS, ROOT
except ModuleNotFoundError as error:
    sys.exit(
        f"This Python has no module {error.name!r}: {sys.executable}. Run `make lab`, or activate "
        "the environment that you set up as README.md describes."
    )

SETTINGS = Path(__file__).with_name("lab")


def update_copies(root: Path = ROOT) -> str:
    """Update the copies. Returns a sentence about those that were kept, or an empty string.

    Exits if the copies cannot be written.
    """
    try:
        kept = learners_copy.update(root)
    except OSError as error:
        sys.exit(
            f"Your copy of the course could not be updated: {error.strerror}: {error.filename}. "
            f"Your work was not changed. Expected a folder {root / learners_copy.MINE} in which "
            "you can create files, on a disk with free space."
        )
    if not kept:
        return ""
    names = ", ".join(path.relative_to(root).as_posix() for path in kept)
    return (
        f"The course has a newer version of {names}, and you have changed your copy. Your copy "
        "was kept. To get the newer version as well, rename your copy and start this again."
    )


def server_arguments(arguments: list[str]) -> list[str]:
    """The arguments of ``jupyter lab``, from those of this program.

    Exits if the file to open does not exist in the course.
    """
    page = learners_copy.places()[NOTEBOOKS[0]]
    if arguments and not arguments[0].startswith("-"):
        page, *arguments = Path(arguments[0]).resolve(), *arguments[1:]
        if not page.is_file() or not page.is_relative_to(ROOT):
            sys.exit(f"Cannot open {page}: expected a file in {ROOT}, such as mine/errors.md.")
    fixed = [
        f"--ServerApp.root_dir={ROOT}",
        f"--LabApp.default_url=/lab/tree/{quote(page.relative_to(ROOT).as_posix())}",
        f"--LabApp.app_settings_dir={SETTINGS}",
        "--ContentsManager.allow_hidden=True",  # the picture of the README is in .github
        "--KernelManager.transport_encryption=auto",  # without it, ipykernel 7.4 prints a warning
    ]
    if any(argument.split("=")[0] in ("--port", "--ServerApp.port") for argument in arguments):
        fixed.append("--ServerApp.port_retries=0")  # no other port than the one asked for
    return [*fixed, *arguments]


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(
        usage="%(prog)s [FILE] [--all-extensions] [arguments of `jupyter lab`]",
        description="Open JupyterLab in your copy of the course, which is the folder mine/. FILE "
        "is the file to open, such as mine/04_checkpoints.ipynb, and comes first.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--all-extensions",
        action="store_true",
        help="show the menus of nbgrader and nbdime, for teachers and contributors",
    )
    options, rest = parser.parse_known_args(arguments)
    if kept := update_copies():
        print(kept, flush=True)
    if not options.all_extensions:
        paths = [str(SETTINGS), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
        os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
    LabApp.launch_instance(server_arguments(rest))


if __name__ == "__main__":
    main(sys.argv[1:])
