"""The forked kernels and scripts of the tests behave like those of a reader."""

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import start_new_kernel

import forked

HERE = str(Path(forked.__file__).parent)
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


@pytest.fixture(scope="module")
def say():
    """A function that runs code in a kernel and returns what it printed."""
    manager, client = start_new_kernel(kernel_name="python3")

    def run(code):
        said = []
        client.execute_interactive(
            code, timeout=60, output_hook=lambda message: said.append(message["content"])
        )
        return "".join(content.get("text", content.get("ename", "")) for content in said)

    yield run
    client.stop_channels()
    manager.shutdown_kernel(now=True)


def test_it_has_torch_already(say):
    assert say("import sys; print('torch' in sys.modules)") == "True\n"


def test_its_names_are_those_of_a_fresh_one(say):
    assert say("print([name for name in vars() if not name.startswith('_')])") == (
        "['In', 'Out', 'get_ipython', 'exit', 'quit', 'open', 'sys']\n"
    )


@pytest.mark.parametrize("module", ["course", "needs", "notebook_rules", "test_plots"])
def test_it_does_not_find_what_only_tests_import(say, module):
    assert "ModuleNotFoundError" in say(f"import {module}")


def test_it_shows_a_figure_by_itself(say):
    shown = say("import matplotlib.pyplot as plt; plt.plot([1, 2]); print(plt.get_backend())")
    assert "inline" in shown


def test_the_processes_that_it_starts_end_with_it():
    manager, client = start_new_kernel(kernel_name="python3")
    said = []
    client.execute_interactive(
        "import subprocess; print(subprocess.Popen(['sleep', '60']).pid)",
        timeout=60,
        output_hook=lambda message: said.append(message["content"].get("text", "")),
    )
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    assert is_gone(int("".join(said)))


def test_it_starts_processes_in_the_usual_way(say):
    expected = multiprocessing.get_start_method()
    assert say("import multiprocessing; print(multiprocessing.get_start_method())") == (
        f"{expected}\n"
    )


@pytest.mark.parametrize(
    ("script", "is_forked"),
    {
        "import torch": True,
        "import beside": True,
        "import sys  # no torch": False,
        "import circle": False,
    }.items(),
)
def test_a_script_is_forked_if_it_imports_torch(script, is_forked, tmp_path):
    """Other scripts have to show that they do not need torch."""
    (tmp_path / "beside.py").write_text("from torch import nn")
    (tmp_path / "circle.py").write_text("import circle")
    path = tmp_path / "script.py"
    path.write_text(script + "\nimport sys; print('IPython' in sys.modules)")
    command = [os.environ["SCRIPT_PYTHON"], path]
    assert subprocess.run(command, capture_output=True, text=True).stdout == f"{is_forked}\n"


def test_an_interrupt_reaches_it(tmp_path):
    manager, client = start_new_kernel(kernel_name="python3")
    began = tmp_path / "began"
    message = client.execute(f"import time; open({str(began)!r}, 'w'); time.sleep(60)")
    deadline = time.monotonic() + 60
    while not began.exists():
        assert manager.is_alive() and time.monotonic() < deadline
        time.sleep(0.01)
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=30)
    while reply["parent_header"].get("msg_id") != message:
        reply = client.get_shell_msg(timeout=30)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    assert not manager.is_alive()


# ---- processes ----------------------------------------------------------------------------------


def test_a_process_ends_as_it_would_without_a_fork():
    code = """
import atexit, sys, threading, time
atexit.register(print, "exit handler")
threading.Thread(target=lambda: (time.sleep(0.2), print("thread"))).start()
print("said", file=sys.stderr)
sys.exit(3)
"""
    ended = forked.run("-c", code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (3, "thread\nexit handler\n", "said\n")


def test_an_error_ends_it_with_a_traceback():
    ended = forked.run("-c", "raise ValueError('no')")
    assert ended.returncode == 1 and ended.stderr.endswith("\nValueError: no\n")


def test_a_signal_ends_it_and_is_reported():
    assert forked.run("-c", "import os; os.kill(os.getpid(), 9)").returncode == -9


def test_it_has_its_own_folder_arguments_variables_and_main_module(tmp_path):
    code = """
import os, pickle, sys
class A: pass
print(os.getcwd(), sys.argv, os.environ.get("HERE"), type(pickle.loads(pickle.dumps(A()))))
"""
    ended = forked.run("-c", code, "1", cwd=tmp_path, env=os.environ | {"HERE": "yes"})
    assert ended.stdout == f"{tmp_path} ['-c', '1'] yes <class '__main__.A'>\n", ended.stderr


def test_a_slow_process_is_ended():
    with pytest.raises(subprocess.TimeoutExpired):
        forked.run("-c", "import time; time.sleep(60)", timeout=0.1)


def test_it_ends_when_the_process_that_started_it_is_gone(tmp_path):
    code = f"""
import os, sys, forked
path = {str(tmp_path / "pid")!r}
child = "import os, time; open({{!r}}, 'w').write(str(os.getpid())); time.sleep(60)".format(path)
process = forked.start("-c", child, files=(sys.stdin, sys.stdout, sys.stderr))
while not os.path.exists(path) or not open(path).read():
    pass
os._exit(0)
"""
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": HERE}, check=True, timeout=60
    )
    assert is_gone(int((tmp_path / "pid").read_text()))


def test_each_draws_other_numbers():
    code = "import random, numpy; print(random.random(), numpy.random.rand())"
    first, second = (forked.run("-c", code).stdout.split() for _ in range(2))
    assert first[0] != second[0] and first[1] != second[1]


def test_what_a_script_spawns_finds_the_script(tmp_path):
    (tmp_path / "script.py").write_text("""
import multiprocessing, torch
def square(x):
    return x * x
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(square, [3]))
""")
    ended = forked.run("script.py", cwd=tmp_path)
    assert ended.stdout == "[9]\n", ended.stderr


def is_gone(pid):
    """Whether a process has ended, or ends within ten seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False
