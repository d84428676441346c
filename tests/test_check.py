"""`make check`: what a student runs first."""

import sys

import pytest

import check_machine as check


def test_this_machine_is_ready(capsys):
    """Or else no other test would run; and it is the only one that starts a kernel."""
    assert check.main() == 0
    printed = capsys.readouterr().out
    assert "All is well" in printed
    assert "ok   kernel       starts" in printed


@pytest.mark.parametrize(
    ("finding", "advice"),
    {
        "an old Python": (check.python("3.10.18"), "Install Python 3.11 or newer"),
        "no room in memory": (check.memory(1.5), "Close other programs"),
        "no room on the disk": (check.disk(0.5), "Make room"),
        "an old torch": (check.packages(["torch>=99"])[0], "The course needs torch>=99"),
        "a package that is missing": (check.packages(["no-such-package"])[0], "run `make setup`"),
        "no such kernel": (check.kernel("no-such-kernel"), "ipykernel install"),
    }.values(),
    ids=lambda value: value.name if isinstance(value, check.Finding) else "",
)
def test_what_will_not_do_is_said_with_what_to_do(finding, advice):
    assert not finding.ok
    assert str(finding).startswith("NOT ")
    assert advice in str(finding)


def test_a_kernel_of_another_python_will_not_do(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/elsewhere")
    assert "another Python" in check.kernel().found


def test_the_lowest_python_that_will_do_is_the_one_that_pip_demands():
    demanded = check.metadata.metadata("saving-and-loading-pytorch-models")["Requires-Python"]
    assert demanded == ">=3.11"
    assert check.python("3.11.0").ok and not check.python("3.10.99").ok


def test_where_the_course_is_not_installed_that_is_said(monkeypatch):
    def requires(name):
        raise check.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(check.metadata, "requires", requires)
    (finding,) = check.packages()
    assert "not installed" in finding.found and not finding.ok


def test_packages_of_an_extra_are_not_asked_for():
    assert check.packages(["no-such-package; extra == 'dev'"]) == []


def test_one_that_will_not_do_is_counted(monkeypatch, capsys):
    monkeypatch.setattr(check, "python", lambda: check.Finding("Python", "3.9", False, "Do."))
    assert check.main() == 1
    printed = capsys.readouterr().out
    assert "1 of these will not do." in printed
    assert "kernel" not in printed  # nothing that would need the packages is tried
