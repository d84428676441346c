"""Check whether this machine is ready for the course: ``make check``."""

import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.version import Version


@dataclass(frozen=True)
class Finding:
    """The result of one check, and what to do if it failed."""

    name: str
    found: str
    ok: bool
    advice: str

    def __str__(self) -> str:
        line = f"{'ok  ' if self.ok else 'NOT '} {self.name:12} {self.found}"
        return line if self.ok else f"{line}\n     → {self.advice}"


def python(version: str = platform.python_version()) -> Finding:
    advice = "Install Python 3.11 or newer, delete .venv, and run `make setup` with it: PYTHON=…"
    return Finding("Python", version, Version(version) >= Version("3.11"), advice)


def packages(declared: list[str] | None = None) -> list[Finding]:
    """Check each package that the project declares. ``declared`` are requirements, as in pip."""
    if declared is None:
        try:
            declared = metadata.requires("saving-and-loading-pytorch-models") or []
        except metadata.PackageNotFoundError:
            return [
                Finding("course", "is not installed in this Python", False, "Run `make setup`.")
            ]
    findings = []
    for requirement in map(Requirement, declared):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = None
        ok = bool(version) and requirement.specifier.contains(version, prereleases=True)
        wanted = f"The course needs {requirement}: run `make setup`, or pip as in the README."
        findings.append(Finding(requirement.name, version or "missing", ok, wanted))
    return findings


def kernel(name: str = "python3", seconds: int = 60) -> Finding:
    """Check that a Jupyter kernel starts in this Python and finds torch and the helpers."""
    from jupyter_client.manager import start_new_kernel

    advice = "Select the kernel of this environment, or `python -m ipykernel install --user`."
    try:
        manager, client = start_new_kernel(kernel_name=name, startup_timeout=seconds)
    except Exception as error:  # the student has to read any error
        return Finding("kernel", f"{type(error).__name__}: {error}", False, advice)
    try:
        said: list[str] = []
        code = "import sys, torch, helpers; print(sys.prefix, end='')"
        reply = client.execute_interactive(
            code, timeout=seconds, output_hook=lambda m: said.append(m["content"].get("text", ""))
        )
        ok = reply["content"]["status"] == "ok" and "".join(said) == sys.prefix
        found = "starts" if ok else "belongs to another Python environment"
        return Finding("kernel", found, ok, advice)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def memory(gigabytes: float | None = None) -> Finding:
    import psutil

    free = psutil.virtual_memory().available / 1e9 if gigabytes is None else gigabytes
    advice = "Close other programs: notebooks 12 and 13 run many processes and need about 3 GB."
    return Finding("memory", f"{free:.1f} GB free", free >= 3, advice)


def disk(gigabytes: float | None = None) -> Finding:
    free = shutil.disk_usage(tempfile.gettempdir()).free / 1e9 if gigabytes is None else gigabytes
    advice = "Free disk space for temporary files, or set TMPDIR to a folder on another disk."
    return Finding("disk", f"{free:.1f} GB free for temporary files", free >= 1, advice)


def accelerator() -> Finding:
    """Report the accelerator. This check never fails, because the course needs none."""
    import torch

    # Without check_available, torch returns the device it was built for, even if there is none.
    found = torch.accelerator.current_accelerator(check_available=True)
    return Finding("accelerator", found.type if found else "none, and none is needed", True, "")


def main() -> int:
    """Print all findings, and return the number of failed checks."""
    findings = [python(), *packages()]
    if all(finding.ok for finding in findings):  # otherwise the other checks cannot import
        findings += [kernel(), memory(), disk(), accelerator()]
    print(*findings, sep="\n")
    bad = sum(not finding.ok for finding in findings)
    print(f"\nFailed checks: {bad}." if bad else "\nEverything is ready. Run `make lab`.")
    return bad


if __name__ == "__main__":
    sys.exit(bool(main()))
