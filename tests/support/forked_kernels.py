"""Kernels that start at once: they fork from a process that has imported torch already.

Every notebook starts a kernel of its own and imports torch in it. That takes longer than most of
what it does there. A forked kernel is a process of its own all the same. It differs from a fresh
one in what is imported already: matplotlib, and what torch's optimizers import at their first step.
Kernels are forked on Linux alone. `make run` and the tests in a browser start theirs as a reader
does.
"""

import multiprocessing
import os
import signal
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

PRELOADED = ["IPython", "ipykernel.kernelapp", "matplotlib.pyplot", "torch", "torch._dynamo"]
ROOT = Path(__file__).resolve().parents[2]


def install() -> None:
    """Let all kernels that this process starts be forked, if this system can."""
    if sys.platform != "linux":
        return
    factory = KernelProvisionerFactory.instance()
    here = EntryPoint("forked", "forked_kernels:ForkedKernel", factory.GROUP_NAME)
    factory.provisioners["forked"] = here
    factory.default_provisioner_name = "forked"
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)


class ForkedKernel(LocalProvisioner):
    """Starts a kernel of this Python as a fork, and any other as always."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> dict[str, Any]:
        if cmd[:3] != [sys.executable, "-m", "ipykernel_launcher"]:
            return await super().launch_kernel(cmd, **options)
        context = multiprocessing.get_context("forkserver")
        process = context.Process(
            target=_run_kernel, args=(cmd[3:], options.get("cwd"), options.get("env"))
        )
        process.start()
        self.process = _AsPopen(process)
        self.pid, self.pgid, self.cwd = process.pid, None, options.get("cwd") or Path.cwd()
        return self.connection_info


class _AsPopen:
    """A process of multiprocessing with the methods of subprocess.Popen that are needed here."""

    stdout = stderr = stdin = None

    def __init__(self, process: Any) -> None:
        self.process, self.pid = process, process.pid
        self.kill, self.terminate = process.kill, process.terminate

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self) -> int | None:
        self.process.join()
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


def _run_kernel(arguments: list[str], folder: str | None, environment: dict[str, str]) -> None:
    multiprocessing.set_start_method(None, force=True)  # a kernel's own processes start as always
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder or ".")
    # A kernel finds what is installed, and not what pytest has added.
    added = {str(path) for path in (ROOT, *ROOT.glob("tests/**/"), ROOT / "tools")}
    added -= set(os.environ.get("PYTHONPATH", "").split(os.pathsep))
    sys.path[:] = [path for path in sys.path if path.rstrip(os.sep) not in added]
    sys.argv = ["ipykernel_launcher", *arguments]
    from ipykernel.kernelapp import IPKernelApp

    IPKernelApp.launch_instance(arguments)
