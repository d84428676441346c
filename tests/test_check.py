"""`make check` reports whether a machine is ready, and what to do if it is not."""

import sys
from pathlib import Path

import pytest
import torch

import check_machine as check
import install


@pytest.fixture
def before_the_setup(monkeypatch, tmp_path):
    monkeypatch.setattr(check, "is_installed", lambda: False)
    monkeypatch.setattr(install, "WINDOWS", False)
    monkeypatch.chdir(tmp_path)


def test_this_machine_is_ready(capfd):
    """The only test here that starts a kernel."""
    assert check.main() == 0
    printed, errors = capfd.readouterr()
    assert "Everything is ready" in printed
    assert "ok   kernel       starts" in printed
    assert "encryption" not in errors  # the warning of ipykernel, which readers cannot act on


@pytest.mark.parametrize(
    ("finding", "advice"),
    {
        "an old Python": (check.python((3, 10, 18)), "Python 3.11 or newer"),
        "no room in memory": (check.memory(1.5), "Close other programs"),
        "no room on the disk": (check.temporary_files(0.5), "Free disk space"),
        "an old torch": (check.packages(["torch>=99"])[0], "The course needs torch>=99. "),
        "a package that is missing": (check.packages(["no-such-package"])[0], "The course needs"),
        "no such kernel": (check.kernel("no-such-kernel"), "ipykernel install"),
    }.values(),
    ids=lambda value: value.name if isinstance(value, check.Finding) else "",
)
def test_a_failed_check_says_what_to_do(finding, advice):
    assert not finding.ok
    assert str(finding).startswith("NOT ")
    assert advice in str(finding)


def test_a_kernel_of_another_python_fails_the_check(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/elsewhere")
    assert "another Python" in check.kernel().found


def test_the_oldest_accepted_python_is_the_one_that_pip_requires():
    from importlib import metadata

    demanded = metadata.metadata(check.NAME)["Requires-Python"]
    assert demanded == f">={install.dotted(install.lowest())}"
    assert check.python((*install.lowest(), 0)).ok and not check.python((3, 10, 99)).ok


def test_a_missing_installation_of_the_course_is_reported(monkeypatch):
    from importlib import metadata

    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    (finding,) = check.packages()
    assert "not installed" in finding.found and not finding.ok


def test_packages_of_an_extra_are_not_required():
    assert check.packages(["no-such-package; extra == 'dev'"]) == []


def test_failed_checks_are_counted(monkeypatch, capsys):
    monkeypatch.setattr(check, "python", lambda: check.Finding("Python", "3.9", False, "Do."))
    assert check.main() == 1
    printed = capsys.readouterr().out
    assert "Failed checks: 1." in printed and "Run `" not in printed
    assert "kernel" not in printed  # nothing that would need the packages is tried


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
def test_a_cuda_build_without_a_gpu_has_no_accelerator(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch._C, "_accelerator_getAccelerator", lambda: cuda)
    assert check.accelerator().found == "none, and none is needed"


# ---- before the setup ---------------------------------------------------------------------------


def test_before_the_setup_it_checks_what_the_setup_needs(before_the_setup, capsys):
    assert check.main() == 0
    printed = capsys.readouterr().out
    assert "ok   environment  .venv will be created" in printed
    assert "GB free for .venv" in printed
    assert printed.endswith("This machine is ready for the setup. Run `make lab`.\n")


@pytest.mark.parametrize("problem", ["python", "space", "folder"])
def test_a_setup_that_would_fail_fails_the_check(problem, before_the_setup, monkeypatch, capsys):
    if problem == "python":
        monkeypatch.setattr(install, "python_problem", lambda commands: "It is too old.")
    elif problem == "space":
        monkeypatch.setattr(install, "gigabytes_free", lambda folder: 0.5)
    else:
        Path(".venv").mkdir()
        Path(".venv/thesis.txt").touch()
    assert check.main() == 1
    printed = capsys.readouterr().out
    advice = {"python": "It is too old.", "space": "0.5 GB are free", "folder": "no file pyvenv"}
    assert advice[problem] in printed
    assert printed.endswith("Failed checks: 1.\n")


def test_memory_is_left_out_where_the_standard_library_does_not_know_it(monkeypatch):
    monkeypatch.delattr(check.os, "sysconf", raising=False)
    assert check.total_memory() is None
    names = [finding.name for finding in check.before_setup(Path("v"), install.Commands())]
    assert "memory" not in names and "Python" in names


# ---- each kind of environment has its own commands ----------------------------------------------


@pytest.mark.parametrize(
    ("kind", "windows", "lab", "repair"),
    [
        ("ready", False, "make lab", "make setup"),
        ("ready", True, "Scripts", str(Path("tools", "install.py"))),
        ("conda-meta", False, "start_lab.py", "conda env update -f environment.yml"),
        ("conda-meta", True, "start_lab.py", "conda env update -f environment.yml"),
        ("pip", False, "start_lab.py", "pip install -c constraints.txt -e '.[dev]'"),
        ("pip", True, "start_lab.py", "pip install -c constraints.txt -e .[dev]"),
    ],
)
def test_the_advice_fits_the_environment(kind, windows, lab, repair, tmp_path, monkeypatch):
    monkeypatch.setattr(install, "WINDOWS", windows)
    if kind == "ready":
        (tmp_path / kind).touch()
    else:
        (tmp_path / kind).mkdir()
    found = check.environment(str(tmp_path), windows)
    assert lab in found.lab and repair in found.repair
    if windows or kind != "ready":
        assert "make" not in found.lab + found.repair


def test_the_default_environment_is_not_named_in_its_commands(monkeypatch):
    monkeypatch.setattr(install, "ROOT", Path(sys.prefix).parent)
    assert install.shown(Path(sys.prefix)) == Path(Path(sys.prefix).name)
    assert install.Commands("make setup", install.DEFAULT).again() == "make setup"
    assert install.Commands("make setup", Path("other")).lab() == "make lab VENV=other"


def test_on_windows_the_setup_is_started_without_make(before_the_setup, monkeypatch, capsys):
    monkeypatch.setattr(install, "WINDOWS", True)
    check.main()
    printed = capsys.readouterr().out
    assert "make" not in printed and f"py {Path('tools', 'install.py')}" in printed


def test_in_conda_the_setup_may_use_conda(before_the_setup, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(check.sys, "prefix", str(tmp_path))
    (tmp_path / "conda-meta").mkdir()
    check.main()
    assert "or `conda env create -f environment.yml`." in capsys.readouterr().out
