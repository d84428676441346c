"""Check whether this machine is ready for the course: ``make check``.

Before the setup, the checks say whether the setup can succeed. For them, this file needs only the
standard library of Python 3.6 or newer.
"""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import install

NAME = "saving-and-loading-pytorch-models"
GIGABYTES = 3  # of memory, for notebooks 12 and 13


class Finding(NamedTuple):
    """The result of one check, and what to do if it failed."""

    name: str
    found: str
    ok: bool
    advice: str

    def __str__(self) -> str:
        line = f"{'ok  ' if self.ok else 'NOT '} {self.name:12} {self.found}"
        return line if self.ok else f"{line}\n     {self.advice}"


class Environment(NamedTuple):
    """What to do in an environment: how to repair it, and the command that opens the course."""

    repair: str
    lab: str


def environment(prefix: str = sys.prefix, windows: bool = install.WINDOWS) -> Environment:
    """Which kind of environment a prefix belongs to: of tools/install.py, of conda, or of pip."""
    folder = Path(prefix)
    start = Path("tools", "start_lab.py")
    if (folder / "ready").is_file():
        ours = install.Commands("" if windows else "make setup", install.shown(folder))
        repair = f"Delete the file {ours.folder / 'ready'}, and then run `{ours.again()}`."
        return Environment(repair, ours.lab())
    if (folder / "conda-meta").is_dir():
        return Environment("Run `conda env update -f environment.yml`.", f"python {start}")
    course = ".[dev]" if windows else "'.[dev]'"
    return Environment(
        f"Run `python -m pip install -c constraints.txt -e {course}`.", f"python {start}"
    )


# ---- before the setup ---------------------------------------------------------------------------


def is_installed() -> bool:
    """Whether this Python has the course, complete or not."""
    if (Path(sys.prefix) / "ready").is_file():
        return True
    try:
        from importlib import metadata  # needs Python 3.8

        metadata.distribution(NAME)
    except ImportError:  # also PackageNotFoundError
        return False
    return True


def before_setup(folder: Path, commands: install.Commands) -> "list[Finding]":
    """Check whether the setup of an environment in a folder can succeed."""
    problem = install.python_problem(commands)
    findings = [Finding("Python", platform.python_version(), not problem, problem)]
    setup = install.Setup(install.Environment(folder), commands)
    try:
        reason = setup.why_created()
        found = f"{folder} will be created, because {reason}" if reason else f"{folder} exists"
        findings.append(Finding("environment", found, True, ""))
        free = f"{install.gigabytes_free(folder):.1f} GB free for {folder}"
        problem = setup.space_problem()
        findings.append(Finding("disk", free, not problem, problem))
    except install.Problem as error:
        findings.append(Finding("environment", f"{folder} cannot be used", False, str(error)))
    total = total_memory()
    if total is not None:
        advice = f"Notebooks 12 and 13 need about {GIGABYTES} GB. The others run with less."
        findings.append(Finding("memory", f"{total:.1f} GB in total", total >= GIGABYTES, advice))
    return [*findings, temporary_files()]


def total_memory() -> "float | None":
    """The memory of this machine in GB, where the standard library knows it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, OSError, ValueError):
        return None


def temporary_files(gigabytes: "float | None" = None) -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free / 1e9 if gigabytes is None else gigabytes
    advice = "Free disk space for temporary files, or set TMPDIR to a folder on another disk."
    return Finding("disk", f"{free:.1f} GB free for temporary files", free >= 1, advice)


# ---- after the setup ----------------------------------------------------------------------------


def packages(declared: "list[str] | None" = None) -> "list[Finding]":
    """Check Python and each package that the course declares. ``declared`` is for tests."""
    from importlib import metadata

    from packaging.requirements import Requirement

    repair = environment().repair
    if declared is None:
        try:
            declared = metadata.requires(NAME) or []
        except metadata.PackageNotFoundError:
            return [Finding("course", "is not installed in this Python", False, repair)]
    findings = []
    for requirement in map(Requirement, declared):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = None
        ok = bool(version) and requirement.specifier.contains(version, prereleases=True)
        wanted = f"The course needs {requirement}. {repair}"
        findings.append(Finding(requirement.name, version or "missing", ok, wanted))
    return findings


def python(version: "tuple[int, ...]" = tuple(sys.version_info[:3])) -> Finding:
    needed = f"The course needs {install.at_least()}. Set it up with a newer Python."
    return Finding("Python", install.dotted(version), version[:2] >= install.lowest(), needed)


def kernel(name: str = "python3", seconds: int = 60) -> Finding:
    """Check that a Jupyter kernel starts in this Python and finds torch and the helpers."""
    from jupyter_client.manager import KernelManager

    from refresh import ENCRYPTED

    advice = "Select the kernel of this environment, or `python -m ipykernel install --user`."
    manager = KernelManager(kernel_name=name, config=ENCRYPTED)
    try:
        manager.start_kernel()
    except Exception as error:  # the student has to read any error
        return Finding("kernel", f"{type(error).__name__}: {error}", False, advice)
    client = manager.client()
    try:
        client.start_channels()
        client.wait_for_ready(timeout=seconds)
        said: list[str] = []
        code = "import sys, torch, helpers; print(sys.prefix, end='')"
        reply = client.execute_interactive(
            code, timeout=seconds, output_hook=lambda m: said.append(m["content"].get("text", ""))
        )
        ok = reply["content"]["status"] == "ok" and "".join(said) == sys.prefix
        found = "starts" if ok else "belongs to another Python environment"
        return Finding("kernel", found, ok, advice)
    except (RuntimeError, TimeoutError) as error:
        return Finding("kernel", f"{type(error).__name__}: {error}", False, advice)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def memory(gigabytes: "float | None" = None) -> Finding:
    import psutil

    free = psutil.virtual_memory().available / 1e9 if gigabytes is None else gigabytes
    advice = f"Close other programs: notebooks 12 and 13 need about {GIGABYTES} GB."
    return Finding("memory", f"{free:.1f} GB free", free >= GIGABYTES, advice)


def accelerator() -> Finding:
    """Report the accelerator. This check never fails, because the course needs none."""
    import torch

    # Without check_available, torch returns the device it was built for, even if there is none.
    found = torch.accelerator.current_accelerator(check_available=True)
    return Finding("accelerator", found.type if found else "none, and none is needed", True, "")


def after_setup() -> "list[Finding]":
    findings = [python(), *packages()]
    if all(finding.ok for finding in findings):  # otherwise the other checks cannot import
        findings += [kernel(), memory(), temporary_files(), accelerator()]
    return findings


def main(arguments: "list[str] | None" = None) -> int:
    """Print all findings and the next command. Returns the number of failed checks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", default=install.DEFAULT, type=Path)
    parser.add_argument("--requested", default="", help="this Python, if the user named it")
    options = parser.parse_args([] if arguments is None else arguments)
    if is_installed():
        findings = after_setup()
        end = f"Everything is ready. Run `{environment().lab}`."
    else:
        make = "" if install.WINDOWS else "make lab"
        commands = install.Commands(make, options.folder, options.requested)
        findings = before_setup(options.folder, commands)
        end = f"This machine is ready for the setup. Run `{commands.again()}`"
        in_conda = (Path(sys.prefix) / "conda-meta").is_dir()
        end += ", or `conda env create -f environment.yml`." if in_conda else "."
    print(*findings, sep="\n")
    bad = sum(not finding.ok for finding in findings)
    print(f"\nFailed checks: {bad}." if bad else f"\n{end}")
    return bad


if __name__ == "__main__":
    os.chdir(str(install.ROOT))
    sys.exit(bool(main(sys.argv[1:])))
