"""`make lab` opens the learner's copies in a real JupyterLab, and each one runs there."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError
from playwright.sync_api import expect

import forked
from course import NOTEBOOKS, ROOT, WORDS
from learners_copy import update, work

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

# The part of the course that `make lab` needs.
PARTS = ("tools", "notebooks", "helpers", ".github")
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\S+\?token=\S+")


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """`make lab` in a copy of the course. Yields the copy and the printed address."""
    home = tmp_path_factory.mktemp("lab")
    course = home / "course"
    for part in PARTS:
        shutil.copytree(ROOT / part, course / part)
    for page in ROOT.glob("*.md"):
        shutil.copy(page, course)
    settings = home / "settings/@jupyterlab/notebook-extension/tracker.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps(SETTINGS))
    (home / "config").mkdir()
    (home / "config/jupyter_server_config.py").write_text(FORKING)
    own = {"JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces"}
    own |= {"JUPYTER_RUNTIME_DIR": "runtime", "JUPYTER_CONFIG_DIR": "config"}
    own |= {"JUPYTER_DATA_DIR": "data"}
    command = [sys.executable, course / "tools/start_lab.py", "--no-browser"]
    command += ["--ServerApp.ip=127.0.0.1", "--port=0", "--LabApp.expose_app_in_browser=True"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    with open(home / "log", "w") as log:
        environment = os.environ | {name: str(home / folder) for name, folder in own.items()}
        process = subprocess.Popen(
            command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        until = time.monotonic() + 60
        while not (printed := ADDRESS.search((home / "log").read_text())):
            assert process.poll() is None and time.monotonic() < until, (home / "log").read_text()
            time.sleep(0.1)
        yield course, printed[0]
    finally:
        process.terminate()
        process.wait(timeout=60)


def content(notebook):
    """The errors with the ids of their cells, and the numbers of figures and progress bars."""
    outputs = [(cell.id, output) for cell in notebook.cells for output in cell.get("outputs", [])]
    errors = [(cell, output.ename) for cell, output in outputs if output.output_type == "error"]
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


SHOWN = "window.jupyterapp?.shell.currentWidget?.context?.path"
SAVE = "async () => { await window.jupyterapp.shell.currentWidget.context.save(); }"


@pytest.fixture(scope="module")
def app(browser, lab):
    """The printed address in a fresh browser, and the problems of the page. Loading is slow."""
    _, address = lab
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    home = urlsplit(address).netloc

    def asked(request):
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws") and url.netloc != home:
            problems.append(f"asked another host: {request.url}")

    page.on("request", asked)
    page.goto(address)
    page.wait_for_function(SHOWN, timeout=MINUTE)
    opened = page.evaluate(SHOWN)
    page.wait_for_function(READY, polling=200, timeout=MINUTE)
    yield page, problems, opened
    page.close()


def test_the_printed_address_opens_the_copy_of_the_first_notebook(app, lab):
    _, problems, opened = app
    assert urlsplit(lab[1]).path == f"/lab/tree/mine/{NOTEBOOKS[0].name}"
    assert opened == f"mine/{NOTEBOOKS[0].name}"
    assert problems == []


def test_nothing_of_nbgrader_and_nbdime_is_visible(app):
    page, *_ = app
    shown = page.content().lower()
    for word in ("nbgrader", "create assignment", "validate", "formgrader", "assignment list"):
        assert f">{word}" not in shown and f'title="{word}' not in shown
    commands = page.evaluate("window.jupyterapp.commands.listCommands()")
    assert [c for c in commands if c.startswith(("nbgrader:", "nbdime:"))] == []


def test_no_news_of_jupyter_are_offered(app):
    page, *_ = app
    expect(page.get_by_text("official Jupyter news")).to_have_count(0)


def test_markdown_opens_as_a_page(app):
    page, *_ = app
    page.evaluate(OPEN, "mine/errors.md")
    page.wait_for_function(f"{SHOWN} === 'mine/errors.md'", timeout=MINUTE)
    expect(page.locator(".jp-MarkdownViewer h1")).to_be_visible()


def test_an_answer_appears_at_a_click(app):
    page, *_ = app
    page.evaluate(OPEN, f"mine/{NOTEBOOKS[0].name}")
    box = page.locator(".jp-Notebook .jp-RenderedMarkdown div[style*='border-left']").first
    expect(box.locator("strong").first).to_have_text(f"{WORDS['predict']}:", timeout=MINUTE)
    folded = page.locator(".jp-Notebook details").first
    letter = folded.locator("strong").first
    expect(letter).to_be_hidden()
    folded.get_by_text(WORDS["show_answer"]).click()
    expect(letter).to_be_visible()
    expect(letter).to_have_text(re.compile("^[A-E]$"))


# The notebook has scrolled to a cell.
AT_THE_TOP = """(id) => {
  const { node, widgets } = window.jupyterapp.shell.currentWidget.content;
  const cell = widgets.find((cell) => cell.model.id === id).node;
  return Math.abs(cell.getBoundingClientRect().top - node.getBoundingClientRect().top) < 50;
}"""


def follow(page, link, expected):
    """Click a link in the visible document, and wait until it has opened another one."""
    page.locator(f".jp-Document:not(.lm-mod-hidden) a[href*='{link}']").last.click()
    page.wait_for_function(f"{SHOWN} === '{expected}'", timeout=MINUTE)


def test_links_lead_to_rendered_pages_to_cells_and_to_exercises(app):
    page, problems, _ = app
    first, exercises = NOTEBOOKS[0].name, f"mine/exercises/me/{NOTEBOOKS[0].stem}"
    page.evaluate(OPEN, f"mine/{first}")
    page.wait_for_function(READY, polling=200, timeout=MINUTE)
    problems.clear()
    follow(page, "mine/README.md", "mine/README.md")
    rendered = page.locator(".jp-Document:not(.lm-mod-hidden) .jp-MarkdownViewer")
    expect(rendered.locator("h1")).to_be_visible()
    picture = rendered.locator("img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 0
    follow(page, "mine/errors.md", "mine/errors.md")
    link = page.locator(f".jp-Document:not(.lm-mod-hidden) a[href*='{first}']").last
    cell = link.get_attribute("href").partition("#cell-id=")[2]
    follow(page, first, f"mine/{first}")
    page.wait_for_function(AT_THE_TOP, arg=cell, timeout=MINUTE)
    follow(page, exercises, f"{exercises}/{first}")
    assert problems == []


def test_an_edited_copy_is_kept_and_the_others_are_updated(app, lab):
    page, *_ = app
    course, _ = lab
    edited, other = NOTEBOOKS[0].name, NOTEBOOKS[1].name
    page.evaluate(OPEN, f"mine/{edited}")
    page.wait_for_function(READY, polling=200, timeout=MINUTE)
    page.evaluate(
        "window.jupyterapp.shell.currentWidget.content.widgets[3].model.sharedModel"
        ".setSource('my answer')"
    )
    page.evaluate(SAVE)
    originals = [course / "notebooks" / name for name in (edited, other)]
    before = [path.read_bytes() for path in originals]
    try:
        for path in originals:
            path.write_text(path.read_text("utf-8").replace("## Recap", "## Retake"), "utf-8")
        assert update(course) == [course / "mine" / edited]
    finally:
        for path, content in zip(originals, before, strict=True):
            path.write_bytes(content)
    assert "my answer" in (course / "mine" / edited).read_text("utf-8")
    assert "## Retake" in (course / "mine" / other).read_text("utf-8")
    (course / "mine" / edited).unlink()
    assert update(course) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_run_all_cells_runs_a_notebook_to_its_end(app, lab, path):
    course, _ = lab
    copy = course / "mine" / path.name
    learners_work = work(copy.read_text(encoding="utf-8"), copy.suffix)
    page, problems, _ = app
    problems.clear()
    page.evaluate(OPEN, f"mine/{path.name}")
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

    page.evaluate(SAVE)
    assert nbformat.read(copy, as_version=4).cells[-1].source  # it was written completely
    assert work(copy.read_text(encoding="utf-8"), copy.suffix) == learners_work
