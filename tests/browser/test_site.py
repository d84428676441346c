"""The pages of the web site work in Chromium, in light and dark mode, wide and narrow."""

import io
import os
import re
import subprocess
import sys
from functools import cache
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from test_search import ENTRIES, INDEX, load

from conftest import BUILT, Watch
from course import NOTEBOOKS, ROOT
from helpers import errors

SITE = BUILT / "site"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
PAGES = [path for path in PAGES if not path.startswith("_static/")]  # templates of the theme
EXERCISES = sorted((ROOT / "notebooks/exercises/release").glob("*/*.ipynb"))
AXE = ROOT / "docs/node_modules/axe-core/axe.min.js"

WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 390, "height": 844}


def page_of(notebook):
    return notebook.relative_to(ROOT).with_suffix(".html").as_posix()


NOTEBOOK_PAGES = {page_of(path): path for path in NOTEBOOKS}
DOWNLOADS = NOTEBOOK_PAGES | {page_of(path): path for path in EXERCISES}


def new_context(browser, viewport, scheme, **options):
    options |= {"reduced_motion": "reduce"}  # colours appear immediately, without a transition
    context = browser.new_context(viewport=viewport, color_scheme=scheme, **options)
    context.add_init_script(path=AXE)
    return context


@pytest.fixture(scope="module")
def tab(browser, site):
    """A function that shows a page of the site in an open tab, which is faster."""
    context = new_context(browser, WIDE, "light")
    page = context.new_page()
    watch = Watch(page, site)

    def show(path, viewport, scheme):
        page.set_viewport_size(viewport)
        page.emulate_media(color_scheme=scheme)
        watch.problems.clear()
        page.goto(f"{site}/{path}")
        return page, watch.problems

    yield show
    context.close()


@pytest.fixture
def visit(browser, site):
    """A function that opens a page as a new visitor, and fails if the page has errors."""
    contexts, watches = [], []

    def open_page(path="index.html", viewport=WIDE, scheme="light", **options):
        contexts.append(new_context(browser, viewport, scheme, **options))
        page = contexts[-1].new_page()
        watches.append(Watch(page, site))
        page.goto(f"{site}/{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [problem for watch in watches for problem in watch.problems] == []


def test_the_site_was_built_and_has_every_notebook():
    assert {page_of(path) for path in [*NOTEBOOKS, *EXERCISES]} < set(PAGES)


# Builds the site again, with a link to a cell that does not exist.
SPOILED = """
import sys
from pathlib import Path
import make_site

def spoil(collect=make_site.collect):
    collect()
    page = make_site.SOURCE / "notebooks/errors.md"
    page.write_text(page.read_text().replace("#cell-id=", "#cell-id=no-", 1))

make_site.collect = spoil
sys.exit(make_site.main(Path(sys.argv[1])))
"""


def test_a_build_stops_at_a_link_that_leads_nowhere_and_links_to_a_repository_it_knows(tmp_path):
    """One build for both, because it takes long and continues after a warning."""
    known = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "ada/course"}
    done = subprocess.run(
        [sys.executable, "-c", SPOILED, tmp_path],
        cwd=ROOT / "tools",
        env=os.environ | known,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode != 0
    (warning,) = re.findall("WARNING: .*", done.stderr)
    assert "local id not found in doc 'notebooks/02_saving_for_inference'" in warning

    page = (tmp_path / "TEACHING.html").read_text(encoding="utf-8")
    assert 'href="https://github.com/ada/course/blob/main/tools/notebook_rules.py"' in page
    assert 'href="exercises.html"' in page
    assert 'href="https://github.com/ada/course/issues"' in page

    front = BeautifulSoup((tmp_path / "index.html").read_text(encoding="utf-8"), "html.parser")
    commands = front.select_one(".commands pre").get_text().splitlines()
    assert commands[:2] == ["git clone https://github.com/ada/course", "cd course"]
    colab = "https://colab.research.google.com/github/ada/course/blob/main/"
    assert front.select_one(".begin").find(href=f"{colab}notebooks/01_state_dict.ipynb")
    for path in DOWNLOADS:
        page = (tmp_path / path).read_text(encoding="utf-8")
        assert f'href="{colab}{path.removesuffix(".html")}.ipynb"' in page


STICKS_OUT = """() => {
  const within = (element) => {
    for (let box = element; box && box !== document.body; box = box.parentElement)
      if (box !== element && getComputedStyle(box).overflowX !== "visible") return true;
    return element.getBoundingClientRect().right <= window.innerWidth + 1;
  };
  const out = [...document.querySelectorAll(".bd-article *")].filter((one) => !within(one));
  return out.map((one) => `${one.tagName} ${one.className} ${one.textContent.slice(0, 60)}`);
}"""


# Text in a fixed-width font that is wider than its box.
CUT = """() => [...document.querySelectorAll(".bd-article pre")]
  .filter((text) => text.scrollWidth > text.clientWidth + 1)
  .map((text) => text.textContent)"""

# The number of cells of code in which a line of 100 characters would wrap.
TOO_NARROW_FOR_CODE = """() => {
  const wraps = (code) => {
    const line = document.createElement("div");
    line.style.width = "max-content";
    line.textContent = "x".repeat(100);
    code.append(line);
    const style = getComputedStyle(code);
    const room = code.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
    const wide = line.offsetWidth > room;
    line.remove();
    return wide;
  };
  return [...document.querySelectorAll(".cell_input pre")].filter(wraps).length;
}"""

COLOURS_OF_LINKS = """() => {
  const links = [...document.querySelectorAll(".bd-article :is(p, td, li) a[href]")];
  return [...new Set(links.map((link) => getComputedStyle(link).color))];
}"""


def open_all(page):
    """Show all answers and all folded code."""
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")


# Only one word of each kind in code keeps its markup: all look the same, and axe-core is slow.
ONE_OF_A_KIND = """() => {
  const seen = new Set(), more = [];
  for (const word of document.querySelectorAll(".highlight span[class]")) {
    const look = getComputedStyle(word);
    let behind = word;
    while (behind && getComputedStyle(behind).backgroundColor === "rgba(0, 0, 0, 0)")
      behind = behind.parentElement;
    const kind = [word.className, look.color, behind?.className].join(" ");
    if (seen.has(kind)) more.push(word);
    seen.add(kind);
  }
  // Only now: a change between two looks would lay out the whole page for each word.
  for (const word of more) word.replaceWith(...word.childNodes);
}"""


def violations(page, where="body", rules=None):
    """The serious violations that axe-core finds in a part of a page."""
    page.evaluate(ONE_OF_A_KIND)
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = page.evaluate(
        "async ([where, options]) => (await axe.run(where, options)).violations", [where, options]
    )
    return [
        f"{problem['id']}: {node['html'][:200]}"
        for problem in found
        if problem["impact"] in ("serious", "critical")
        for node in problem["nodes"]
    ]


@pytest.mark.parametrize("path", PAGES)
def test_a_page_on_a_wide_screen(tab, path):
    """Each page is opened once for all checks."""
    page, problems = tab(path, WIDE, "light")
    assert page.locator("h1:visible").count() == 1
    assert cut_on_paper(page) == []
    assert_answers_are_folded(page, soup(path))
    open_all(page)
    assert images_without_a_picture_or_a_text(page) == []
    assert page.evaluate(CUT) == []
    assert page.evaluate(TOO_NARROW_FOR_CODE) == 0
    assert len(page.evaluate(COLOURS_OF_LINKS)) <= 1
    index = page.locator(".bd-sidebar-primary").get_by_text("Index of errors").bounding_box()
    assert 0 < index["y"] < WIDE["height"] - index["height"]
    assert violations(page) == []
    if path in DOWNLOADS:
        assert_the_notebook_can_be_downloaded(page, DOWNLOADS[path])
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert violations(page, rules=["color-contrast"]) == []
    if path in NOTEBOOK_PAGES:
        assert_the_page_says_on_what_it_was_produced(page, NOTEBOOK_PAGES[path])
        assert_figures_can_be_read(page)
        assert_cases_are_in_the_contents(page)
        assert page.get_by_role("link", name="Exercises for this notebook").count() == 1
    assert problems == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_on_a_telephone_in_the_dark(tab, path):
    page, problems = tab(path, NARROW, "dark")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"]
    assert page.evaluate(STICKS_OUT) == []
    assert page.evaluate(CUT) == []
    assert violations(page) == []
    assert problems == []


def images_without_a_picture_or_a_text(page):
    images = page.locator("img").evaluate_all(
        "all => all.map(image => ({"
        "    source: image.currentSrc.slice(0, 80), alt: image.alt.trim(),"
        "    loaded: image.loading === 'lazy' || image.naturalWidth > 0 }))"
    )
    return [image for image in images if not image["alt"] or not image["loaded"]]


def cut_on_paper(page):
    """The problems of a printed page: content that is cut, and controls that do nothing."""
    page.emulate_media(media="print")
    furniture = page.locator(".bd-sidebar-primary, .bd-sidebar-secondary, .copybtn, summary")
    cut = "all => all.filter(text => text.scrollWidth > text.clientWidth + 1)"
    found = page.locator(".bd-article pre").evaluate_all(f"{cut}.map(text => text.textContent)")
    hidden = "all => all.filter(part => !part.checkVisibility()).map(part => part.textContent)"
    found += page.locator(".folded > :not(summary)").evaluate_all(hidden)
    found += furniture.locator("visible=true").all_inner_texts()
    page.emulate_media(media="screen")
    return found


def assert_answers_are_folded(page, source):
    """Each question is followed by its code and a closed answer, which names the right letter."""
    assert page.locator("details[open]").count() == 0
    questions = source.select(".question")
    answers = source.select("details.answer")
    assert len(answers) == len(questions)
    for question, answer in zip(questions, answers, strict=True):
        assert question.select_one(".admonition-title").get_text() == "Predict"
        after = question.find_next_siblings()
        assert answer in after[1:] and all(
            "cell" in one["class"] for one in after[: after.index(answer)]
        )
        assert answer.summary.get_text() == "Show the answer"
        letter = re.fullmatch("Answer: ([A-E])", answer.p.get_text())
        options = [option.strong.get_text() for option in question.select("li")]
        assert letter and (letter[1] in options or not options)
        assert answer.select_one(".cell_output")


def assert_cases_are_in_the_contents(page):
    cases = page.locator(".bd-article h3").evaluate_all(
        "all => all.map(one => one.parentElement.id)"
    )
    links = page.locator("#pst-page-toc-nav a:visible")
    listed = links.evaluate_all("all => all.map(link => link.hash.slice(1))")
    assert set(cases) <= set(map(unquote, listed))


def assert_the_notebook_can_be_downloaded(page, path):
    needed = page.get_by_role("link", name="set up the course first").get_attribute("href")
    assert needed.endswith("index.html#other-ways-to-set-it-up")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the notebook").click()
    assert download.value.suggested_filename == path.name
    with open(download.value.path(), "rb") as file:
        assert file.read() == path.read_bytes()


def assert_the_page_says_on_what_it_was_produced(page, path):
    produced = nbformat.read(path, as_version=4).metadata.produced
    line = page.locator(".produced").inner_text()
    assert produced.day in line and produced.system in line
    for name, version in produced.versions.items():
        assert f"{name} {version}" in line


def assert_figures_can_be_read(page):
    for figure in page.locator(".cell_output img").all():
        picture = Image.open(io.BytesIO(figure.screenshot())).convert("L")
        linear = [(level / 255) ** 2.2 + 0.05 for level in picture.getextrema()]
        assert linear[1] / linear[0] >= 7  # WCAG's enhanced contrast, for text


def test_the_indexes_stay_in_the_sidebar_however_far_it_is_scrolled(visit):
    page = visit("helpers.html", {"width": 1280, "height": 600})
    sidebar = page.locator(".bd-sidebar-primary")
    sidebar.evaluate("sidebar => sidebar.scrollTo(0, sidebar.scrollHeight)")
    assert sidebar.get_by_text("Saving and loading").bounding_box()["y"] < 0
    for name in ("Index of errors", "Index of tasks"):
        link = sidebar.get_by_role("link", name=name)
        assert link.bounding_box()["y"] >= 0
        link.click(trial=True)  # fails if another element covers the link


def test_axe_finds_what_is_wrong(visit):
    page = visit(next(iter(NOTEBOOK_PAGES)))
    open_all(page)
    page.evaluate("document.querySelector('img').removeAttribute('alt')")
    page.add_style_tag(content=".highlight .kn { color: #ddd !important }")
    found = "\n".join(violations(page))
    assert re.search("^image-alt: ", found, re.MULTILINE)
    assert re.search('^color-contrast: .*class="kn"', found, re.MULTILINE)


def test_a_picture_too_pale_for_the_dark_theme_is_found(visit):
    """Tested with a figure in which nothing is visible."""
    page = visit(next(iter(NOTEBOOK_PAGES)))
    open_all(page)
    page.locator(".cell_output img").first.evaluate("image => image.style.opacity = 0")
    with pytest.raises(AssertionError):
        assert_figures_can_be_read(page)


def soup(path):
    return BeautifulSoup((SITE / path).read_text(encoding="utf-8"), "html.parser")


@cache
def anchors(path):
    return {tag["id"] for tag in soup(path).find_all(id=True)}


@pytest.mark.parametrize("path", PAGES)
def test_every_internal_link_and_anchor_resolves(path):
    broken = []
    for tag in soup(path).find_all(["a", "link", "script"]):
        target = tag.get("href") or tag.get("src") or "http:"
        url = urlsplit(target)
        if url.scheme:
            continue
        file = ((SITE / path).parent / unquote(url.path)).resolve() if url.path else SITE / path
        is_there = file.is_file() and not url.netloc
        if is_there and url.fragment and file.suffix == ".html":
            is_there = unquote(url.fragment) in anchors(file)
        if not is_there:
            broken.append(target)
    assert broken == []


def test_the_front_page_shows_what_it_is_about_in_one_screen(visit):
    page = visit()
    for what in (
        page.locator(".promise").get_by_text("stop a training run and resume it"),
        page.locator(".promise").get_by_text("load a model that barely fits into memory"),
        page.locator(".first-screen img"),
        page.get_by_role("link", name="Begin with notebook 1"),
        page.locator(".audience").filter(has_text="hours"),
        page.locator(".commands").filter(has_text="Python").locator("pre", has_text="make lab"),
        page.locator(".machines").filter(has_text="GPU").filter(has_text="Windows"),
    ):
        box = what.bounding_box()
        assert box["y"] + box["height"] <= WIDE["height"]
    for what in ("licence", "cite", "mistake"):
        assert page.locator("#about").get_by_text(what).count()
    footer = page.locator("footer").get_by_role("link", name="Citing, licences, mistakes")
    assert footer.get_attribute("href").endswith("#about")


def test_notebook_1_is_on_the_first_screen_of_a_telephone(visit):
    link = visit(viewport=NARROW).get_by_role("link", name="Begin with notebook 1")
    assert link.bounding_box()["y"] < NARROW["height"] / 2


def test_a_first_visit_loads_less_than_a_megabyte(browser, site):
    context = new_context(browser, WIDE, "light")
    page = context.new_page()
    sizes = {}
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}))
    page.goto(site, wait_until="networkidle")
    # 0.8 MB without compression. Half of it is the theme's style, and 0.1 MB the font of its icons.
    assert 100_000 < sum(sizes.values()) < 900_000, sizes
    icons = page.locator("[class*=fa-]:visible")
    drawn = "all => all.map(icon => getComputedStyle(icon, '::before').fontFamily)"
    assert icons.count() and all("Awesome" in family for family in icons.evaluate_all(drawn))
    context.close()


# A notebook with code in front of an answer that the index of errors could link to.
WITH_ANSWERS = "notebooks/01_state_dict.html"


def test_an_answer_opens_by_key_and_without_javascript(visit):
    page = visit(WITH_ANSWERS, java_script_enabled=False)
    answer = page.locator("details.answer").first
    assert not answer.get_by_text("Answer:").is_visible()
    answer.locator("summary").press("Enter")
    assert answer.get_by_text("Answer:").is_visible()
    assert answer.locator(".cell_output").first.is_visible()


def test_a_link_to_a_cell_opens_its_answer(visit):
    cell = soup(WITH_ANSWERS).select_one("details.answer [id^='cell-id=']")
    page = visit(f"{WITH_ANSWERS}#{cell['id']}", java_script_enabled=False)
    opened = page.locator("details[open]")
    assert opened.count() == 1
    box = opened.bounding_box()
    assert 0 < box["y"] < WIDE["height"] / 2


def test_code_and_output_have_different_backgrounds_and_comments_are_quiet(visit):
    page = visit(WITH_ANSWERS)

    def colour(selector, what="color"):
        look = f"one => getComputedStyle(one)['{what}'].match(/[0-9]+/g).slice(0, 3).map(Number)"
        return page.locator(selector).first.evaluate(look)

    for theme in ("light", "dark"):
        page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        code = colour("div.cell_input", "backgroundColor")
        output = colour(".cell_output .output.stream", "backgroundColor")
        assert abs(sum(code) - sum(output)) > 20
        text, comment = (colour(f".cell_input .highlight {part}") for part in ("pre", ".c1"))
        assert abs(sum(comment) - sum(code)) < abs(sum(text) - sum(code))
        assert max(comment) - min(comment) < 40  # grey


@pytest.mark.parametrize("viewport", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_map_leads_to_every_notebook(visit, viewport):
    page = visit(viewport=viewport)
    seen = page.locator("svg.course-map:visible")
    assert seen.count() == 1
    links = seen.locator("a")
    assert links.evaluate_all("all => all.map(link => link.getAttribute('href'))") == [
        page_of(path) for path in NOTEBOOKS
    ]
    inside = """link => {
      const box = link.querySelector("rect").getBBox(), text = link.querySelector("text").getBBox();
      return box.x <= text.x && text.x + text.width <= box.x + box.width
        && box.y <= text.y && text.y + text.height <= box.y + box.height;
    }"""
    assert all(link.evaluate(inside) for link in links.all())
    links.nth(6).click()
    page.wait_for_url("**/07_exact_resume.html")


def test_the_dark_theme_can_be_chosen_and_stays(visit):
    page = visit()

    def lightness():
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

    assert lightness() > 0.9
    page.get_by_role("button", name="Color mode").click()
    page.get_by_role("button", name="Dark").click()
    assert lightness() < 0.2
    page.get_by_role("link", name="Begin with notebook 1").click()
    page.wait_for_load_state("networkidle")
    assert lightness() < 0.2


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("safetensors", "notebooks/10_inside_the_file.html"),
        ("warm start", "notebooks/09_warm_start.html"),
        ("Unsupported operand 118", "notebooks/errors.html"),
        ("RNG state must be a torch.ByteTensor", "notebooks/errors.html"),
        ("byte_map", "helpers.html"),
        ("cuda", "notebooks/06_device_transfer.html"),  # its results have long words
    ],
)
def test_the_search_finds_a_term_and_an_error(visit, words, path):
    page = visit(viewport=NARROW)
    page.keyboard.press("Control+k")
    page.keyboard.type(words)
    page.keyboard.press("Enter")
    page.wait_for_url("**/search.html*")
    page.locator(f"#search-results a[href*='{path}']").first.wait_for()
    page.wait_for_load_state("networkidle")
    cut = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.textContent)"
    assert page.locator("#search-results :is(li, p)").evaluate_all(cut) == []


def test_the_copy_button_copies_the_code_of_its_cell(visit):
    page = visit(page_of(NOTEBOOKS[1]), permissions=["clipboard-read", "clipboard-write"])
    code = [c for c in nbformat.read(NOTEBOOKS[1], as_version=4).cells if c.cell_type == "code"]
    buttons = page.locator("button.copybtn")
    assert buttons.count() == len(code)
    for number in (0, 1, len(code) - 1):
        buttons.nth(number).hover(force=True)
        buttons.nth(number).click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied.strip() == code[number].source.strip()


def test_the_front_page_and_the_index_of_errors_say_it_too(visit):
    torch = nbformat.read(NOTEBOOKS[0], as_version=4).metadata.produced.versions.torch
    for path in ("index.html", "notebooks/errors.html"):
        assert f"torch {torch}" in visit(path).locator(".produced").inner_text()


def test_a_long_output_is_cut_on_a_telephone_and_a_button_shows_it(visit):
    page = visit("notebooks/07_exact_resume.html", NARROW)
    output = page.locator(".output.cut").first
    button, text = output.locator("button"), output.locator("pre")
    assert button.get_attribute("aria-expanded") == "false"
    height = text.bounding_box()["height"]
    assert height < NARROW["height"] / 2
    button.click()
    assert page.locator("button[aria-expanded=true]").count() == 1
    assert (
        page.locator(".output pre").filter(has_text="Weights only").first.bounding_box()["height"]
        > height
    )
    page.locator("button[aria-expanded=true]").click()
    assert text.bounding_box()["height"] == height


# The two indexes, with a field that searches both.

TRACEBACK = """Traceback (most recent call last):
  File "/home/ada/thesis/train.py", line 214, in <module>
    main()
  File "/home/ada/.venv/lib/python3.12/site-packages/torch/nn/modules/module.py", line 2581, in load
    raise error
"""


@pytest.fixture(scope="module")
def index(browser, site):
    page = browser.new_page(viewport=WIDE)
    page.goto(f"{site}/notebooks/errors.html", wait_until="networkidle")
    yield page
    page.close()


def ask(page, pasted):
    """The texts of the entries that are shown, the best first, and what the field says."""
    page.get_by_label("Paste your error").fill(pasted)
    return page.locator(".results .entry").all_inner_texts(), page.get_by_role(
        "status"
    ).inner_text()


def test_the_field_finds_what_the_command_finds(index):
    """docs/static/search.js does what helpers/errors.py does."""
    texts = [report["text"] for name in ("errors", "unrelated") for report in load(f"{name}.json")]
    texts += ["\n".join(entry.texts) for entry in ENTRIES]
    texts += [TRACEBACK + text for text in texts[::5]]
    there = index.evaluate("texts => texts.map(makeSearch(ENTRIES))", texts)
    for text, shown in zip(texts, there, strict=True):
        entries, fits = INDEX.search(text)
        assert [ENTRIES[number] for number in shown["found"]] == entries, text
        assert shown["fits"] == fits or not entries


def test_a_pasted_error_shows_its_entries_in_place_of_the_page(index):
    shown, said = ask(index, TRACEBACK + "_pickle.UnpicklingError: Unsupported operand 118")
    assert "Git LFS" in shown[0] and "fit" in said
    assert index.locator("section > .entry:visible").count() == 0


def test_the_fix_of_the_wording_that_was_pasted_comes_first(index):
    pasted = (
        "Due to a serious vulnerability issue in torch.load, even with weights_only=True, we now"
    )
    shown, _ = ask(index, f"ValueError: {pasted} require users to upgrade torch to at least v2.6")
    assert "Upgrade PyTorch, or use the safetensors file" in shown[0].partition("Cause:")[0]


def test_a_task_is_found_on_the_page_of_errors(index):
    shown, _ = ask(index, "average the weights of several checkpoints")
    assert "torch.stack" in shown[0]


def test_an_error_without_an_entry_is_not_found(index):
    shown, said = ask(index, "ValueError: too many values to unpack (expected 2)")
    assert shown == [] and said.startswith("No entry fits.")


def test_the_nearest_entries_are_shown_as_such(index):
    shown, said = ask(index, "my checkpoint behaves in an odd way since the holidays")
    assert shown and said == "No entry fits. These are the nearest:"


def test_an_empty_field_shows_the_whole_page(index, visit):
    shown, said = ask(index, "")
    assert shown == [] and said == f"{len(ENTRIES)} errors and tasks are in the indexes."
    for name in ("errors", "tasks"):
        entries = errors.read(ROOT / f"notebooks/{name}.md")
        assert visit(f"notebooks/{name}.html").locator(".entry:visible").count() == len(entries)


def test_the_front_page_asks_too(visit):
    page = visit()
    page.get_by_label("Paste your error").fill(TRACEBACK + "Unsupported operand 118")
    page.get_by_role("button", name="Search", exact=True).click()
    page.wait_for_url("**/errors.html?*")
    assert page.get_by_label("Paste your error").input_value().startswith("Traceback")
    assert "Git LFS" in page.locator(".results .entry").first.inner_text()
