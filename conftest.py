"""How notebooks and tests run.

They work in one temporary folder, which is deleted after the run. Outputs are compared with those
of the installed versions. A test is skipped only if it needs something that this machine lacks.
"""

import multiprocessing.util
import os
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from nbval.plugin import IPyNbCell

import forked
import forked_kernels
import needs
import notebook_rules
import offline
import versions

_folder = pytest.StashKey[tempfile.TemporaryDirectory]()
_server = pytest.StashKey[subprocess.Popen | None]()


def pytest_configure(config: pytest.Config) -> None:
    offline.stay()
    ignored = [f"ignore:{row['begins']}" for row in versions.rows("warning")]
    os.environ["PYTHONWARNINGS"] = ",".join(ignored)
    if needs.SYSTEM == "macOS":  # which disables the module's own redirection
        module = "torch.distributed.elastic.multiprocessing.redirects"
        os.environ.setdefault("TORCH_LOGS", f"-{module}")
    if hasattr(config, "workerinput"):  # the controller has done the rest for the workers
        forked_kernels.fork_kernels()
        return
    # This creates the temporary folder of multiprocessing, which has to outlive the one below.
    multiprocessing.util.get_temp_dir()
    # nbval kills its kernels, so they cannot delete their temporary folders.
    config.stash[_folder] = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    for variable in ("TMPDIR", "TEMP", "TMP"):
        os.environ[variable] = config.stash[_folder].name
    tempfile.tempdir = None
    os.environ[offline.NOTES] = os.path.join(config.stash[_folder].name, "contacted_hosts")
    # There are as many workers as cores. With more than one thread each, they would wait for each
    # other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    if not config.option.collectonly:
        config.stash[_server] = forked.start_server()
        forked_kernels.fork_kernels()
        forked_kernels.fork_scripts(Path(config.stash[_folder].name))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, IPyNbCell):
            item.cell.outputs = versions.as_said_here(item.cell.get("outputs", []))
            if needs.SYSTEM not in notebook_rules.systems(item.path):
                needed = " or ".join(notebook_rules.systems(item.path))
                item.add_marker(pytest.mark.skip(reason=f"needs {needed}, as it declares"))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a skipped test, unless it declares a need that this machine does not meet."""
    report = yield
    wrong = ""
    if hasattr(report, "wasxfail"):
        wrong = "is expected to fail: test what holds instead"
        del report.wasxfail
    elif report.skipped:
        *_, reason = report.longrepr
        if not needs.excuses(reason.removeprefix("Skipped: ")):
            wrong = f"was skipped, for no declared need: {reason}"
    if wrong:
        report.outcome, report.longrepr = "failed", f"{report.nodeid} {wrong}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Fail if another host was contacted, or a whole file skipped: each test declares its needs."""
    for host in offline.contacted():
        terminalreporter.write_line(f"ERROR another host was contacted: {host}", red=True)
        terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED
    for report in terminalreporter.getreports("skipped"):
        if report.when == "collect":
            terminalreporter.write_line(f"ERROR {report.nodeid} was skipped as a whole", red=True)
            terminalreporter._session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    if server := config.stash.get(_server, None):
        server.communicate()  # it ends when its input does
    if folder := config.stash.get(_folder, None):
        folder.cleanup()
