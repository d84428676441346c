"""Run scripts in separate processes, which share nothing with the notebook but files."""

import logging
import os
import re
import runpy
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch.multiprocessing
from torch.multiprocessing import ProcessExitedException, ProcessRaisedException

_FRAMES = re.compile(r"\A(?: .*\n)+")  # a traceback's frames are indented, then comes the error
Finished = tuple[subprocess.CompletedProcess[str], Path]  # the result of a run, and the script


class ScriptError(RuntimeError):
    """A script failed. The message is its error, word for word. Its cause has the traceback."""


class _ScriptTraceback(Exception):
    """The traceback of another process as text, as in ``concurrent.futures``."""


def run_script(path: str | Path, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run a Python script in a separate process, in the script's folder, and print its output.

    ``env`` is added to this process's environment. The path of the folder is removed from the
    output, because the name of a temporary folder differs in each run. The environment variable
    SCRIPT_PYTHON may name another Python interpreter.

    Raises FileNotFoundError if the script does not exist, ScriptError if it ends in an error, and
    subprocess.TimeoutExpired after two minutes.
    """
    _show(_run(path, *arguments, env=env))


def run_scripts(*commands: Sequence[str]) -> None:
    """Run several scripts at the same time, each a path and its arguments, and print their outputs.

    Each output begins with the name of the script's folder. Raises the errors of ``run_script``.
    """
    with ThreadPoolExecutor() as pool:
        for (path, *_), done in zip(commands, pool.map(lambda c: _run(*c), commands), strict=True):
            print(f"--- {Path(path).resolve().parent.name}")
            _show(done)


def kill_when(condition: Callable[[], bool], path: str | Path, *arguments: str) -> None:
    """Start a Python script and kill its process, as ``kill -9`` does, once the condition holds.

    The process is stopped before the condition is checked a second time, so that the condition
    holds when the process is killed. Windows cannot stop a process; there, it is checked once.

    Raises ScriptError if the script ends before that, and TimeoutError after a minute.
    """
    process = subprocess.Popen([sys.executable, str(path), *arguments])
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise ScriptError(f"{path} ended before it could be killed.")
            if condition():
                if not hasattr(signal, "SIGSTOP"):
                    return
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.01)
                if condition():
                    return
                process.send_signal(signal.SIGCONT)
            time.sleep(0.001)
        raise TimeoutError(f"{path} ran for a minute and the condition never held.")
    finally:
        process.kill()
        process.wait()


def run_ranks(number: int, path: str | Path, *arguments: str) -> None:
    """Run a Python script in several processes, its ranks. Linux and macOS only.

    The ranks find each other through RANK, LOCAL_RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT,
    which ``torchrun`` sets as well. Unlike ``torchrun``, this function forks the ranks from a
    process that has imported torch. Their output is discarded. If a rank fails or is killed, the
    others are ended.

    Raises ScriptError with the error of a rank that failed, or the number of one that was killed.
    """
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        _, port = listener.getsockname()
    preloaded = ["torch._dynamo", "torch.distributed.fsdp", "torch.distributed.checkpoint"]
    torch.multiprocessing.set_forkserver_preload(preloaded)
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)  # it reports each rank
    given = number, port, os.getcwd(), str(path), arguments
    start = torch.multiprocessing.start_processes
    ranks = start(_run_rank, given, number, join=False, start_method="forkserver")
    assert ranks is not None  # start_processes returns a context if join is false
    try:
        while not ranks.join():
            pass
    except (ProcessRaisedException, ProcessExitedException) as error:
        killed = [
            rank for rank, one in enumerate(ranks.processes) if one.exitcode == -signal.SIGKILL
        ]
        if killed:
            raise ScriptError(f"Rank {killed[0]} of {Path(path).name} was killed.") from None
        raise ScriptError(str(error).strip().splitlines()[-1]) from error


def _run_rank(
    rank: int, number: int, port: int, folder: str, path: str, arguments: Sequence[str]
) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    os.chdir(folder)
    torch.multiprocessing.set_start_method(None, force=True)  # back to the default
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(number)}
    sys.argv = [path, *arguments]
    runpy.run_path(path, run_name="__main__")


def _run(path: str | Path, *arguments: str, env: dict[str, str] | None = None) -> Finished:
    script = Path(path).resolve()
    if not script.is_file():
        raise FileNotFoundError(f"There is no script {str(script)!r}: write it first.")
    done = subprocess.run(
        [os.environ.get("SCRIPT_PYTHON", sys.executable), script.name, *arguments],
        cwd=script.parent,
        env=os.environ | {"PYTHONUTF8": "1", "PYTHON_COLORS": "0"} | (env or {}),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    return done, script


def _show(finished: Finished) -> None:
    done, script = finished
    folder = str(script.parent) + os.sep
    escaped = repr(folder)[1:-1]  # a repr doubles the backslashes of Windows
    output, errors = (
        text.replace(folder, "").replace(escaped, "") for text in (done.stdout, done.stderr)
    )
    print(output, end="")
    if done.returncode:
        _, frames, error = errors.rpartition("Traceback (most recent call last):\n")
        if not frames:  # not a Python exception: sys.exit, or the script was killed
            raise ScriptError(
                f"{script.name} ended with exit status {done.returncode}\n{errors}".strip()
            )
        raise ScriptError(_FRAMES.sub("", error, count=1).strip()) from _ScriptTraceback(errors)
    print(errors, end="", file=sys.stderr)
