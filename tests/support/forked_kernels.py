"""Forked kernels, and forked scripts for the course's helpers: see forked.py."""

import os
import shlex
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner

import forked


class Kernel(LocalProvisioner):
    """Starts a kernel of this Python as a fork, and any other kernel in the usual way."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> dict[str, Any]:
        if cmd[0] != sys.executable:
            return await super().launch_kernel(cmd, **options)
        with open(os.devnull) as nothing:
            files = (nothing, sys.__stdout__, sys.__stderr__)
            self.process = forked.Process(cmd[1:], files, options.get("cwd"), options.get("env"))
        self.pid = self.pgid = self.process.pid  # it leads its own process group
        self.cwd = options.get("cwd") or Path.cwd()
        return self.connection_info


def fork_kernels() -> None:
    """Fork all kernels that this process starts, if there is a server."""
    if forked.ADDRESS in os.environ:
        factory = KernelProvisionerFactory.instance()
        here = EntryPoint("forked", "forked_kernels:Kernel", factory.GROUP_NAME)
        factory.provisioners["forked"] = here
        factory.default_provisioner_name = "forked"


def fork_scripts(folder: Path) -> None:
    """Fork the scripts of ``helpers.processes.run_script``. Writes a command for it."""
    if forked.ADDRESS in os.environ:
        command = shlex.join([sys.executable, "-IS", forked.__file__])
        python = folder / "python"
        python.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        python.chmod(0o755)
        os.environ["SCRIPT_PYTHON"] = str(python)
