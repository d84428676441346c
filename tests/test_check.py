"""`make check` reports whether a machine is ready, and what to do if it is not."""

import sys

import pytest
import torch

import check_machine as check


def test_this_machine_is_ready(capsys):
    """The only test here that starts a kernel."""
    assert check.main() == 0
    printed = capsys.readouterr().out
    assert "Everything is ready" in printed
    assert "ok   kernel       starts" in printed


@pytest.mark.parametrize(
    ("finding", "advice"),
    {
        "an old Python": (check.python("3.10.18"), "Install Python 3.11 or newer"),
        "no room in memory": (check.memory(1.5), "Close other programs"),
        "no room on the disk": (check.disk(0.5), "Free disk space"),
        "an old torch": (check.packages(["torch>=99"])[0], "The course needs torch>=99"),
        "a package that is missing": (check.packages(["no-such-package"])[0], "run `make setup`"),
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
    demanded = check.metadata.metadata("saving-and-loading-pytorch-models")["Requires-Python"]
    assert demanded == ">=3.11"
    assert check.python("3.11.0").ok and not check.python("3.10.99").ok


def test_a_missing_installation_of_the_course_is_reported(monkeypatch):
    def requires(name):
        raise check.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(check.metadata, "requires", requires)
    (finding,) = check.packages()
    assert "not installed" in finding.found and not finding.ok


def test_packages_of_an_extra_are_not_required():
    assert check.packages(["no-such-package; extra == 'dev'"]) == []


def test_failed_checks_are_counted(monkeypatch, capsys):
    monkeypatch.setattr(check, "python", lambda: check.Finding("Python", "3.9", False, "Do."))
    assert check.main() == 1
    printed = capsys.readouterr().out
    assert "Failed checks: 1." in printed
    assert "kernel" not in printed  # nothing that would need the packages is tried


@pytest.mark.skipif(torch.accelerator.is_available(), reason="needs a machine without a GPU")
def test_a_cuda_build_without_a_gpu_has_no_accelerator(monkeypatch):
    cuda = torch.device("cuda")
    monkeypatch.setattr(torch._C, "_accelerator_getAccelerator", lambda: cuda)
    assert check.accelerator().found == "none, and none is needed"
