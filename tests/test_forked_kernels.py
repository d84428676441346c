"""A kernel that a test starts is like a reader's, though it forks from a process with torch."""

import multiprocessing
import sys

import pytest
from jupyter_client.manager import start_new_kernel

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


def test_what_it_starts_starts_as_always(say):
    expected = multiprocessing.get_start_method()
    assert say("import multiprocessing; print(multiprocessing.get_start_method())") == (
        f"{expected}\n"
    )


def test_an_interrupt_reaches_it():
    manager, client = start_new_kernel(kernel_name="python3")
    message = client.execute("import time; time.sleep(60)")
    while client.get_iopub_msg(timeout=30)["header"]["msg_type"] != "execute_input":
        pass
    manager.interrupt_kernel()
    reply = client.get_shell_msg(timeout=30)
    while reply["parent_header"].get("msg_id") != message:
        reply = client.get_shell_msg(timeout=30)
    assert reply["content"]["ename"] == "KeyboardInterrupt"
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    assert not manager.is_alive()
