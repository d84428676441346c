"""Each notebook opens and runs in a real JupyterLab."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

import forked
from course import NOTEBOOKS

MINUTE = 60_000  # in Playwright's milliseconds

# All cells stay in the page, including invisible ones, so that the tests can read them.
SETTINGS = {"windowingMode": "none"}

# For the server's settings: its kernels are forked.
FORKING = f"""
import sys
sys.path.insert(0, {str(Path(forked.__file__).parent)!r})
import forked_kernels
forked_kernels.fork_kernels()
del sys.path[0]
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebooks. Yields its address and its token."""
    home = tmp_path_factory.mktemp("lab")
    for path in NOTEBOOKS:
        (home / "notebooks").mkdir(exist_ok=True)
        shutil.copy(path, home / "notebooks")
    settings = home / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    (home / "config").mkdir()
    (home / "config/jupyter_server_config.py").write_text(FORKING)
    own = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    own |= {"JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_CONFIG_DIR": "config"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.root_dir={home / 'notebooks'}", "--ServerApp.port=0"]
    command += ["--LabApp.expose_app_in_browser=True"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with open(home / "log", "w") as log:
        environment = os.environ | {name: str(home / folder) for name, folder in own.items()}
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + 60
        while not (started := list((home / "runtime").glob("jpserver-*.json"))):
            assert process.poll() is None and time.monotonic() < until, (home / "log").read_text()
            time.sleep(0.1)
        server = json.loads(started[0].read_text())
        yield server["url"], server["token"]
    finally:
        process.terminate()
        process.wait(timeout=60)


def content(notebook):
    """The errors with the numbers of their cells, and the numbers of figures and progress bars."""
    outputs = [
        (n, output) for n, cell in enumerate(notebook.cells) for output in cell.get("outputs", [])
    ]
    errors = [(n, output.ename) for n, output in outputs if output.output_type == "error"]
    figures = sum("image/png" in output.get("data", {}) for _, output in outputs)
    bars = sum(output.get("text", "").count("█ ") for _, output in outputs)
    return errors, figures, bars


# The previous notebook is closed with its kernel, so that each one has a separate kernel.
OPEN = """async (path) => {
  const app = window.jupyterapp;
  await app.serviceManager.sessions.shutdownAll();
  for (const widget of [...app.shell.widgets("main")]) widget.dispose();
  await app.commands.execute("docmanager:open", { path });
}"""
# The indicator in the toolbar says `idle` too early, and *Run All Cells* would then do nothing.
READY = """() => {
  const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
  const kernel = context?.isReady && context.session?.kernel;
  return kernel && kernel.connectionStatus === "connected" && kernel.status === "idle";
}"""
RAN = """(last) => {
  const prompts = document.querySelectorAll(".jp-Notebook .jp-CodeCell .jp-InputPrompt");
  return prompts[prompts.length - 1].textContent === `[${last}]:`;
}"""


@pytest.fixture(scope="module")
def app(browser, lab):
    """JupyterLab in the browser, and the errors of its page. Loading it is the slowest step."""
    url, token = lab
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{url}lab?reset&token={token}")
    page.wait_for_function("window.jupyterapp?.shell.currentWidget", timeout=MINUTE)
    yield page, problems
    page.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_run_all_cells_runs_a_notebook_to_its_end(app, path):
    page, problems = app
    problems.clear()
    page.evaluate(OPEN, path.name)
    cells = page.locator(".jp-Notebook .jp-CodeCell")
    code = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    expect(cells).to_have_count(len(code), timeout=MINUTE)
    page.wait_for_function(READY, polling=200, timeout=MINUTE)

    # The stored outputs are removed first, so that the outputs at the end are from this run.
    page.get_by_role("menuitem", name="Edit", exact=True).click()
    page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
    expect(page.locator(".jp-OutputArea-output")).to_have_count(0)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    with suppress(PlaywrightTimeoutError):
        page.wait_for_function(RAN, arg=len(code), polling=200, timeout=4 * MINUTE)
    shown = page.locator("[data-mime-type='application/vnd.jupyter.stderr']").all_inner_texts()
    prompts = cells.locator(".jp-InputPrompt").all_inner_texts()
    assert prompts == [f"[{n}]:" for n in range(1, len(code) + 1)], f"the last said {shown[-1:]}"

    errors, figures, bars = content(nbformat.read(path, as_version=4))
    now = page.evaluate("window.jupyterapp.shell.currentWidget.content.model.toJSON()")
    assert content(nbformat.from_dict(now))[0] == errors
    for _, name in errors:
        assert any(text.startswith(name) for text in shown)
    images = page.locator(".jp-OutputArea-output img")
    expect(images).to_have_count(figures)
    assert images.evaluate_all("all => all.every(image => image.naturalWidth > 0)")
    outputs = page.locator("[data-mime-type='application/vnd.jupyter.stdout']").all_inner_texts()
    assert sum(text.count("█ ") for text in outputs) == bars
    assert problems == []
