"""Set up the course in a virtual environment: ``make setup``; on Windows ``py tools\\install.py``.

If the environment is ready, the program returns immediately. An environment that cannot be kept is
created again. This file uses only the standard library and runs on Python 3.6 and newer, so that
an old Python leads to a message and not to a traceback.
"""

import argparse
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WINDOWS = os.name == "nt"
DEFAULT = Path(".venv")
DOWNLOADS = "https://www.python.org/downloads/"
# Measured on Linux: with the CPU build of torch and with its CUDA build.
GIGABYTES, GIGABYTES_WITH_CUDA = 2, 6
# The files and folders that this program, venv and pip write into an environment. The first one
# says that it is complete.
CONTENTS = (
    "ready",
    "site",
    "bench",
    ".gitignore",
    "bin",
    "etc",
    "include",
    "lib",
    "lib64",
    "share",
)
CONTENTS_ON_WINDOWS = ("Include", "Lib", "Scripts")


class Problem(Exception):
    """The setup cannot continue. The text is one line for the reader."""


def declared(pattern: str) -> "list[tuple[int, int]]":
    """The Python versions that a pattern finds in pyproject.toml. An old Python has no tomllib."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return [(int(major), int(minor)) for major, minor in re.findall(pattern, text)]


def lowest() -> "tuple[int, int]":
    """The lowest version of Python that the course runs on."""
    (version,) = declared(r'(?m)^requires-python = ">=(\d+)\.(\d+)"')
    return version


def tested() -> "list[tuple[int, int]]":
    """The versions of Python that the course was tested on, the newest first."""
    return sorted(declared(r'"Programming Language :: Python :: (\d+)\.(\d+)"'), reverse=True)


def at_least() -> str:
    return f"Python {dotted(lowest())} or newer"


def dotted(version: "tuple[int, ...]") -> str:
    return ".".join(map(str, version))


def shown(folder: Path) -> Path:
    """A folder as the reader types it: below the course, relative to it."""
    return folder.relative_to(ROOT) if ROOT in folder.parents else folder


def gigabytes_free(folder: Path) -> float:
    """The free space on the disk that a folder is on, or will be on."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(str(folder)).free / 1e9


def suitable_python() -> str:
    """A command that starts a Python which the course was tested on, or an empty text.

    Each command is tried, because a program on the PATH may only be a stub.
    """
    starters = [["py", "-" + dotted(version)] for version in tested()] if WINDOWS else []
    starters += [["python" + dotted(version)] for version in tested()]
    starters += [["python3"], ["python"]]
    code = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
    for starter in starters:
        if not shutil.which(starter[0]):
            continue
        try:
            output = subprocess.check_output(
                starter + ["-c", code], stderr=subprocess.DEVNULL, timeout=20
            )
        except (OSError, subprocess.SubprocessError):
            continue
        if output.decode().strip() in map(dotted, tested()):
            return " ".join(starter)
    return ""


class Commands:
    """The commands that a message shows: those of make, or without make those of Python."""

    def __init__(self, make: str = "", folder: Path = DEFAULT, python: str = "") -> None:
        self.make = make
        self.folder = folder
        self.python = python  # as the user named it

    def again(self, python: str = "") -> str:
        """The command that was given, with another Python if one is named."""
        python = python or self.python
        if self.make:
            return self.of_make(self.make) + (" PYTHON=" + python if python else "")
        words = [python or ("py" if WINDOWS else "python3"), str(Path("tools", "install.py"))]
        if self.folder != DEFAULT:
            words.append(str(self.folder))
        return " ".join(words)

    def of_make(self, command: str) -> str:
        return command if self.folder == DEFAULT else f"{command} VENV={self.folder}"

    def lab(self) -> str:
        """The command that opens the first notebook."""
        if self.make:
            return self.of_make("make lab")
        python = self.folder / ("Scripts" if WINDOWS else "bin") / "python"
        return f"{python} {Path('tools', 'start_lab.py')}"

    def with_suitable_python(self) -> str:
        """A sentence that says how to continue with a newer Python."""
        found = suitable_python()
        if found:
            return f"Run `{self.again(found)}`."
        name = "py -" if WINDOWS else "python"
        return (
            f"Install Python from {DOWNLOADS} or with your package manager, and then run "
            f"`{self.again(name + dotted(tested()[0]))}`, with the version that you installed."
        )


def python_problem(
    commands: Commands,
    version: "tuple[int, ...]" = tuple(sys.version_info[:3]),
    has_module=importlib.util.find_spec,
) -> str:
    """Why this Python cannot make the environment, and what to do; or an empty text."""
    if version[:2] < lowest():
        return (
            f"The course needs {at_least()}; this is {dotted(version)} "
            f"({sys.executable}). {commands.with_suitable_python()}"
        )
    for module in ("venv", "ensurepip"):
        if not has_module(module):
            return (
                f"This Python ({sys.executable}) cannot make virtual environments, because its "
                f"module {module} is missing. On Debian and Ubuntu, run "
                f"`sudo apt install python{dotted(version[:2])}-venv`; elsewhere, install Python "
                f"from {DOWNLOADS}. Then run `{commands.again()}` again."
            )
    if sys.maxsize < 2**32:
        return (
            f"This Python ({sys.executable}) is a 32-bit program, and PyTorch exists only for "
            f"64-bit ones. Install a 64-bit Python from {DOWNLOADS}."
        )
    return ""


class Environment:
    """The virtual environment in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / ("Scripts/python.exe" if WINDOWS else "bin/python")

    def settings(self) -> "dict[str, str]":
        """The content of its pyvenv.cfg."""
        pairs = {}
        for line in (self.folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition("=")
            pairs[key.strip()] = value.strip()
        return pairs

    def version(self) -> "tuple[int, ...]":
        """The version of the Python that it was made with."""
        settings = self.settings()
        text = settings.get("version") or settings.get("version_info", "")
        return tuple(map(int, re.findall(r"\d+", text)[:3]))

    def fingerprint(self) -> str:
        """A text that is different when the environment has to be updated."""
        digest = hashlib.sha256(str(ROOT).encode())
        for name in ("pyproject.toml", "constraints.txt"):
            digest.update((ROOT / name).read_bytes())
        return digest.hexdigest()

    def has(self, part: str) -> bool:
        """Whether a part is installed as the project declares it now."""
        stamp = self.folder / part
        return stamp.is_file() and stamp.read_text(encoding="utf-8").startswith(self.fingerprint())

    def mark(self, part: str) -> None:
        """Store that a part is installed, and the folder of the environment."""
        text = f"{self.fingerprint()}\n{self.folder.resolve()}\n"
        (self.folder / part).write_text(text, encoding="utf-8")

    def why_not_kept(self, requested: "tuple[int, ...]" = ()) -> str:
        """Why the environment must be created again, or an empty text."""
        ready = self.folder / "ready"
        if not ready.is_file():
            return "its setup was not completed"
        home = Path(self.settings().get("home", ""))
        if not (home / "python.exe" if WINDOWS else self.python).exists():
            return f"its Python, in {home}, was removed"
        version = self.version()
        if version[:2] < lowest():
            return (
                f"it has Python {dotted(version) or '(unknown)'}, and the course needs {at_least()}"
            )
        now = re.match(r"python(\d+)\.(\d+)$", os.path.basename(os.path.realpath(str(self.python))))
        if now and (int(now.group(1)), int(now.group(2))) != version[:2]:
            return f"its Python {dotted(version)} was replaced by {now.group(0)}"
        origin = ready.read_text(encoding="utf-8").splitlines()[1:]
        if origin and not (Path(origin[0]).exists() and self.folder.samefile(origin[0])):
            return f"it was made as {origin[0]}, and its programs refer to that folder"
        if requested and requested != version:
            return f"it has Python {dotted(version)}, and you requested {dotted(requested)}"
        return ""

    def exists(self) -> bool:
        """Whether the folder is a virtual environment, complete or not.

        Raises:
            Problem: The folder is something else.
        """
        place = self.folder.resolve()
        if place == ROOT or place in ROOT.parents:
            raise Problem(f"{self.folder} contains the course. Name another folder.")
        if (self.folder / "pyvenv.cfg").is_file():
            return True
        empty = self.folder.is_dir() and not os.listdir(str(self.folder))
        if os.path.lexists(str(self.folder)) and not empty:
            raise Problem(
                f"{self.folder} is not a virtual environment, because it has no file pyvenv.cfg. "
                "It was not changed. Rename it, or name another folder."
            )
        return False

    def gigabytes(self) -> float:
        """The space that creating it again sets free."""
        total = 0
        for folder, _, names in os.walk(str(self.folder)):
            for name in names:
                total += os.lstat(os.path.join(folder, name)).st_size
        return total / 1e9

    def clear(self) -> None:
        """Delete everything but pyvenv.cfg, so that an interruption leaves an environment.

        Raises:
            Problem: A file cannot be deleted, because a program uses it.
        """
        for name in CONTENTS + CONTENTS_ON_WINDOWS:
            path = self.folder / name
            try:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(str(path))
                elif os.path.lexists(str(path)):
                    path.unlink()
            except OSError as error:
                raise Problem(
                    f"{self.folder} cannot be deleted: {error}. Close the programs that use it, "
                    "such as JupyterLab or an editor, and run `deactivate` if it is active."
                ) from error


@contextmanager
def alone():
    """Wait until no other setup runs. The system drops the lock when this process ends."""
    with open(__file__, "rb+") as file:
        waits = False
        while not locked(file):
            if not waits:
                print("Another setup is running. Waiting for it to end.", flush=True)
            waits = True
            time.sleep(0.5)
        yield


def locked(file) -> bool:
    """Whether this process could lock the file, or locks do not exist on its disk."""
    if sys.platform == "win32":
        import msvcrt

        file.seek(2**30)  # the lock forbids others to read these bytes, so it is behind the end
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network disks have no locks; one setup at a time works there as well
        pass
    return True


class Setup:
    """Creates an environment, and installs into it the extra of a name in pyproject.toml."""

    def __init__(
        self,
        environment: Environment,
        commands: Commands,
        extra: str = "dev",
        requested: "tuple[int, ...]" = (),
        not_found: str = "",
    ) -> None:
        self.environment = environment
        self.commands = commands
        self.extra = extra
        self.requested = requested
        self.not_found = not_found

    def is_ready(self) -> bool:
        parts = {"ready", self.part()}
        return not self.why_created() and all(map(self.environment.has, parts))

    def part(self) -> str:
        return "ready" if self.extra == "dev" else self.extra

    def why_created(self) -> str:
        """Why the environment must be created, or an empty text."""
        if not self.environment.exists():
            return "it does not exist"
        return self.environment.why_not_kept(self.requested)

    def run(self) -> None:
        """Make the environment ready.

        Raises:
            Problem: This was not possible.
        """
        if self.is_ready():
            return
        with alone():
            begun = time.time()
            reason = self.why_created()
            if reason:
                self.create(reason)
            if not self.environment.has("ready"):
                # torch comes first and alone, at the pin: where the pin is already to be had,
                # nothing else is fetched. A new pip is faster than an old one.
                self.install("ready", "pip", "torch", ".[dev]")
            if not self.environment.has(self.part()):
                self.install(self.part(), f".[{self.extra}]")
            minutes, seconds = divmod(round(time.time() - begun), 60)
            print(f"{self.environment.folder} is ready, after {minutes}:{seconds:02} minutes.")
            if not self.commands.make:
                print(f"Run `{self.commands.lab()}`.")

    def check(self) -> None:
        """Check that this machine can create the environment. Nothing is changed.

        Raises:
            Problem: It cannot.
        """
        if self.not_found:
            advice = self.commands.with_suitable_python()
            raise Problem(f"`{self.not_found}` was not found. {advice}")
        problem = python_problem(self.commands) or self.space_problem()
        if problem:
            raise Problem(problem)

    def space_problem(self) -> str:
        """Whether the disk is too small for any setup, or an empty text."""
        folder = self.environment.folder
        free = gigabytes_free(folder) + self.environment.gigabytes()
        if free >= GIGABYTES:
            return ""
        return (
            f"The setup needs at least {GIGABYTES} GB of disk space, and only "
            f"{int(free * 10) / 10} GB are free for {folder}. Free some space, and then run "
            f"`{self.commands.again()}` again."
        )

    def create(self, reason: str) -> None:
        """Create the environment, without packages. A previous one is deleted."""
        self.check()
        folder = self.environment.folder
        if self.environment.exists():
            print(f"{folder} is created again, because {reason}.")
        size = f"about {GIGABYTES} GB of disk space"
        if platform.system() == "Linux":
            size += f", or {GIGABYTES_WITH_CUDA} GB with the CUDA build of PyTorch"
        print(f"The setup of {folder} takes some minutes and {size}.", flush=True)
        self.environment.clear()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pyvenv.cfg").touch()  # from here on, the folder is an environment
        # In an active environment, sys.executable is a link that was just deleted.
        python = getattr(sys, "_base_executable", None) or sys.executable
        if subprocess.call([python, "-m", "venv", str(folder)]):
            raise self.failed("creating the environment")

    def install(self, part: str, *packages: str) -> None:
        """Install packages at the tested versions, and store that the part is complete.

        An interruption leaves an older stamp as it was, so that the next call installs again.
        """
        pip = [str(self.environment.python.absolute()), "-m", "pip", "install"]
        pip += ["--disable-pip-version-check", "--constraint", "constraints.txt"]
        # Outside a terminal, pip's report is printed only if it fails.
        to = None if sys.stdout.isatty() else subprocess.PIPE
        for number, package in enumerate(packages, start=1):
            print(f"Installing {package} ({number} of {len(packages)})", flush=True)
            arguments = ["--editable", package] if package.startswith(".") else [package]
            process = subprocess.Popen(
                pip + arguments, cwd=str(ROOT), stdout=to, stderr=to and subprocess.STDOUT
            )
            report, _ = process.communicate()
            if process.returncode:
                if report:
                    end = b"\n".join(report.splitlines()[-20:])
                    sys.stdout.buffer.write(end + b"\n")  # as bytes: any encoding
                    sys.stdout.flush()
                raise self.failed(f"installing {package}")
        self.environment.mark(part)

    def failed(self, what: str) -> Problem:
        """The last line after a failed step: what to check, and how to try again."""
        places = [self.environment.folder, Path(tempfile.gettempdir())]
        sizes = [gigabytes_free(place) for place in places]
        free = f"{sizes[0]:.1f} GB are free for {places[0]}, {sizes[1]:.1f} GB for {places[1]}"
        if min(sizes) < 0.5:
            advice = f"The disk is full, or nearly: {free}. Free some space"
            advice += ", or set TMPDIR to a folder on another disk."
        else:
            version = tuple(sys.version_info[:3])
            if self.environment.python.exists():
                version = self.environment.version() or version
            advice = (
                f"Check the network (behind a proxy, set HTTPS_PROXY), the disk space ({free}) "
                f"and the Python version ({dotted(version)} on {platform.system()} "
                f"{platform.machine()}; tested are {dotted(tested()[-1])} to "
                f"{dotted(tested()[0])})."
            )
        return Problem(
            f"{what.capitalize()} failed, for the reason above. {advice} Then run "
            f"`{self.commands.again()}` again."
        )


def main(arguments: "list[str] | None" = None) -> int:
    """Set up the course. Returns 0, or 1 after one line that says why it was not possible."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", default=DEFAULT, type=Path, help="the environment")
    parser.add_argument("--extra", default="dev", help="an extra in pyproject.toml")
    parser.add_argument("--make", default="", help="the command of make that called this")
    parser.add_argument("--requested", default="", help="this Python, if the user named it")
    parser.add_argument("--not-found", default="", help="the Python that make did not find")
    options = parser.parse_args(arguments)
    commands = Commands(options.make, options.folder, options.requested)
    requested = tuple(sys.version_info[:3]) if options.requested else ()
    setup = Setup(
        Environment(options.folder), commands, options.extra, requested, options.not_found
    )
    try:
        if options.not_found and options.requested:
            setup.check()
        setup.run()
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{error}\n{setup.failed('The setup')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\nThe setup was stopped. Run `{commands.again()}` to repeat it.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    os.chdir(str(ROOT))
    sys.exit(main())
