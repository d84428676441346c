"""Python processes that start fast, because they fork from one that has imported torch.

Importing torch takes longer than most tests. A forked process has its own main module and ends like
any other process. It differs from a fresh process in three ways. Many modules are imported already,
so `import torch` provides submodules that a fresh process has to import. All forks have the same
hash seed. Settings that Python, OpenMP and warnings read from the environment at startup are those
of the server. Processes are forked on Linux only. `make run` and `make refresh` start processes as
a reader does, so the stored outputs come from fresh processes.

On the command line, ``forked.py SCRIPT`` replaces ``python SCRIPT``. A script that imports torch is
forked, and any other script starts in a fresh process.
"""

import gc
import importlib
import json
import os
import re
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import IO, Any

PRELOADED = ["IPython", "ipykernel.kernelapp", "matplotlib.pyplot", "torch", "torch._dynamo"]
ADDRESS = "FORK_SERVER"  # the environment variable with the server's
BYTES = 1 << 17  # that a request may have
Files = tuple[IO[Any], IO[Any], IO[Any]]  # standard input, output and error output


def start_server() -> subprocess.Popen[bytes] | None:
    """Start the server process, unless it exists or the system cannot fork.

    It ends with this one.
    """
    if sys.platform != "linux" or ADDRESS in os.environ:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind("")  # to a name that the system chooses
        listener.listen(64)
        os.environ[ADDRESS] = listener.getsockname()[1:].decode()
        number = listener.fileno()
        command = [sys.executable, __file__, "--serve", str(number)]
        # A fork finds what its own PYTHONPATH names.
        env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        return subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=[number], env=env)


class Process:
    """``python ARGUMENTS``, with the methods of subprocess.Popen that the tests need."""

    stdin = stdout = stderr = None

    def __init__(
        self,
        arguments: list[str],
        files: Files,
        cwd: str | Path | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        import resource

        self.returncode: int | None = None
        request = {
            "arguments": arguments,
            "cwd": str(cwd or Path.cwd()),
            "env": env or dict(os.environ),
            "memory": resource.getrlimit(resource.RLIMIT_DATA),
        }
        self.server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.server.connect("\0" + os.environ[ADDRESS])
        numbers = [file.fileno() for file in files]
        socket.send_fds(self.server, [json.dumps(request).encode()], numbers)
        self.pid = int(self.server.recv(BYTES))

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self.server], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises subprocess.TimeoutExpired after that many seconds."""
        if self.returncode is None:
            if not select.select([self.server], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("python", timeout or 0)
            self.returncode = int(self.server.recv(BYTES))
            self.server.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


def start(
    *arguments: str | Path,
    files: Files,
    cwd: str | Path | None = None,
    env: dict[str, str] | None = None,
) -> Process | subprocess.Popen[bytes]:
    """Start ``python ARGUMENTS``, as a fork if there is a server."""
    given = [str(argument) for argument in arguments]
    if ADDRESS in os.environ:
        return Process(given, files, cwd, env)
    input, output, errors = files
    command = [sys.executable, *given]
    return subprocess.Popen(command, stdin=input, stdout=output, stderr=errors, cwd=cwd, env=env)


def run(
    *arguments: str | Path,
    cwd: str | Path | None = None,
    env: dict[str, str] | None = None,
    timeout: float = 100,
    together: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run ``python ARGUMENTS`` to its end and return its exit code and what it printed.

    With ``together``, what it prints on either output is in ``stdout``.
    """
    with (
        open(os.devnull) as nothing,
        tempfile.TemporaryFile("w+", encoding="utf-8") as output,
        tempfile.TemporaryFile("w+", encoding="utf-8") as errors,
    ):
        files = nothing, output, output if together else errors
        process = start(*arguments, files=files, cwd=cwd, env=env)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        said = []
        for file in (output, errors):
            file.seek(0)
            said.append(file.read())
    return subprocess.CompletedProcess(arguments, code, *said)


def serve(listener: socket.socket) -> dict[str, Any] | None:
    """Fork at each request. Return the request in the fork, and None when the starter has ended."""
    for name in PRELOADED:
        importlib.import_module(name)
    gc.freeze()  # garbage collection in a fork would copy this memory
    os.setsid()  # signals for the terminal's processes must not reach the forks
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watchers = set()
    while True:
        ready, _, _ = select.select([listener, sys.stdin], [], [])
        if sys.stdin in ready:
            return None
        for watcher in list(watchers):
            if os.waitpid(watcher, os.WNOHANG)[0]:
                watchers.remove(watcher)
        client, _ = listener.accept()
        watcher = os.fork()
        if watcher == 0:
            listener.close()
            return watch(client)
        watchers.add(watcher)
        client.close()


def watch(client: socket.socket) -> dict[str, Any]:
    """Fork, tell the client how the fork ends, and end it if the client is gone."""
    message, files, _, _ = socket.recv_fds(client, BYTES, 3)
    child = os.fork()
    if child == 0:
        os.setsid()
        client.close()
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        return json.loads(message)
    for file in files:
        os.close(file)
    while os.getpgid(child) != child:
        time.sleep(0.001)  # until it leads a group, with which it can be ended
    client.send(str(child).encode())
    gone, _, _ = select.select([client, os.pidfd_open(child)], [], [])
    if client in gone:
        os.killpg(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    try:
        client.send(str(os.waitstatus_to_exitcode(status)).encode())
    finally:
        os._exit(0)


def become(arguments: list[str], cwd: str, env: dict[str, str], memory: list[int]) -> None:
    """Run ``python ARGUMENTS`` in this process."""
    import multiprocessing.process
    import resource

    import matplotlib
    import numpy

    import offline

    resource.setrlimit(resource.RLIMIT_DATA, tuple(memory))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    offline.stay()
    sys.stdout.reconfigure(line_buffering=os.isatty(1))
    numpy.random.seed()  # Python seeds its own generator again at each fork, but not this one
    multiprocessing.process.ORIGINAL_DIR = cwd
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    first, *rest = arguments
    folders = {"-c": "", "-m": cwd}
    named = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:1] = [folders.get(first, str(Path(first).parent)), *named]
    if first == "-m":
        if rest[0] == "ipykernel_launcher":  # which sets a variable before its first import
            matplotlib.rcParams["backend"] = "module://matplotlib_inline.backend_inline"
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
        return
    main = sys.modules["__main__"] = ModuleType("__main__")  # pickle looks classes up in it
    if first == "-c":
        code = compile(rest.pop(0), "<string>", "exec")
    else:
        code = compile(Path(first).read_bytes(), first, "exec")
        main.__file__ = first
    sys.argv = [first, *rest]
    exec(code, vars(main))


def imports_torch(script: Path, seen: frozenset[Path] = frozenset()) -> bool:
    """Whether a script, or a module next to it that it imports, imports torch."""
    for name in re.findall(r"^(?:import|from) (\w+)", script.read_text(encoding="utf-8"), re.M):
        beside = script.with_name(f"{name}.py")
        if name in ("torch", "helpers"):
            return True
        if beside.is_file() and beside not in seen and imports_torch(beside, seen | {beside}):
            return True
    return False


if __name__ == "__main__":
    if sys.argv[1] != "--serve":
        if not imports_torch(Path(sys.argv[1])):
            os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
        ended = start(*sys.argv[1:], files=(sys.stdin, sys.stdout, sys.stderr)).wait()
        if ended < 0:  # by a signal
            os.kill(os.getpid(), -ended)
        sys.exit(ended)
    if request := serve(socket.socket(fileno=int(sys.argv[2]))):
        become(**request)
