"""Run answers to exercises, each in a separate process.

A process that has imported torch and the other packages forks for each answer. An answer starts
immediately, in a state that no other answer has changed. Windows cannot fork; there, each answer
imports its packages.
"""

import contextlib
import functools
import gc
import importlib
import io
import json
import linecache
import os
import subprocess
import sys
import tempfile
import threading
from types import ModuleType
from typing import IO, Any

import forked

SECONDS = 120
# The modules that the exercises import, or that torch imports later for them.
PRELOADED = [
    "functorch.compile",
    "jinja2",
    "networkx",
    "numpy.ctypeslib",
    "onnx",
    "onnxruntime",
    "onnxscript.function_libs.torch_lib.ops",
    "safetensors.torch",
    "sympy.combinatorics",
    "torch.distributed.checkpoint.format_utils",
    "torch.distributed.checkpoint.state_dict",
    "torch.onnx",
    "torch.testing",
    "torchdata.stateful_dataloader",
    "tqdm",
]
Outputs = list[dict[str, Any]]  # of a cell, in the format of a notebook


def run_all(jobs: list[list[str]]) -> list[list[Outputs]]:
    """Run each job, which is a list of cells, and return the outputs of each of its cells.

    Raises:
        RuntimeError: A job ended its process, or took longer than SECONDS.
    """
    requests, results_of, _ = _server()
    print(json.dumps(jobs), file=requests, flush=True)
    results = json.loads(results_of.readline())
    for job, result in zip(jobs, results, strict=True):
        if result is None:
            raise RuntimeError(f"This ended its process, or took over {SECONDS} s: {job[1:]}")
    return results


@functools.cache
def _server() -> tuple[IO[str], IO[str], Any]:
    """The input and the output of a process that answers, and the process."""
    (its_input, requests), (results, its_output) = os.pipe(), os.pipe()
    with open(its_input) as input, open(its_output, "w") as output:
        process = forked.start(__file__, files=(input, output, sys.__stderr__))
    return open(requests, "w", encoding="utf-8"), open(results, encoding="utf-8"), process


def serve() -> None:
    """Read lines of jobs from standard input, and print a line of outputs for each."""
    can_fork = hasattr(os, "fork")
    if can_fork:
        _prepare()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # keeps the output of a job's processes out of the answers
    for line in sys.stdin:
        results = []
        for job in json.loads(line):
            results.append(_in_a_fork(job) if can_fork else _in_a_new_process(job))
        print(json.dumps(results), file=answers, flush=True)


def _prepare() -> None:
    """Import the modules that the answers need, including those of a first export."""
    import torch

    for name in PRELOADED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(sys.stderr):
        path = f"{folder}/model.onnx"
        torch.onnx.export(torch.nn.Linear(2, 2), (torch.ones(1, 2),), path, verbose=False)
    gc.freeze()  # garbage collection in a fork would copy this memory


def _in_a_fork(job: list[str]) -> list[Outputs] | None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        with os.fdopen(writer, "w", encoding="utf-8") as file:
            json.dump(_run(job), file)
        os._exit(0)  # a normal exit would take a second to clean up the modules
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as file:
        said = file.read()
    os.waitpid(child, 0)
    return json.loads(said) if said else None


def _in_a_new_process(job: list[str]) -> list[Outputs] | None:
    command = [sys.executable, __file__, "--one"]
    done = subprocess.run(
        command, input=json.dumps(job), stdout=subprocess.PIPE, encoding="utf-8", check=False
    )
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def _run(cells: list[str]) -> list[Outputs]:
    """Run cells of plain Python in this process."""
    too_long = threading.Timer(SECONDS, os._exit, [1])
    too_long.daemon = True
    too_long.start()
    sys.path[0] = ""  # as in a notebook: an answer cannot import modules of the tests
    main = sys.modules["__main__"] = ModuleType("__main__")  # pickle looks classes up in it
    return [_outputs(source, f"cell {number}", vars(main)) for number, source in enumerate(cells)]


def _outputs(source: str, name: str, variables: dict[str, Any]) -> Outputs:
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    error: Outputs = []
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            exec(compile(source, name, "exec"), variables)
    except BaseException as raised:  # the student sees any error
        said = {"ename": type(raised).__name__, "evalue": str(raised), "traceback": []}
        error = [{"output_type": "error", **said}]
    text = printed.getvalue()
    return [{"output_type": "stream", "name": "stdout", "text": text}] * bool(text) + error


if __name__ == "__main__":
    if "--one" in sys.argv:
        print(json.dumps(_run(json.load(sys.stdin))))
    else:
        serve()
