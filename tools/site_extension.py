"""The features of the site that Sphinx and its extensions do not have."""

import json
import posixpath
from itertools import takewhile
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from docutils import nodes
from nbformat import NotebookNode
from sphinx import addnodes
from sphinx.application import Sphinx

from course import ROOT, WORDS, read, right_letters
from helpers import errors

SETUP = "other-ways-to-set-it-up"  # a section of the front page
FIRST = "notebooks/01_state_dict.ipynb"
COLAB = "colab"  # a section of TEACHING.md
INDEXES = ("notebooks/errors", "notebooks/tasks")  # pages with a field that searches both


def cells_of(app: Sphinx) -> list[NotebookNode]:
    """The cells of the page that Sphinx is reading. Empty if it is not a notebook."""
    path = Path(app.env.doc2path(app.env.docname))
    return read(path).cells if path.suffix == ".ipynb" else []


def cells_can_be_linked(app: Sphinx, document: nodes.document) -> None:
    """Give each code cell the anchor that JupyterLab uses: ``#cell-id=…``."""
    cells = cells_of(app)
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in document.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            anchor = f"cell-id={cells[node['cell_index']].id}"
            node["ids"].append(anchor)
            slugs[anchor] = (None, anchor, "")  # where myst_parser looks up a target


def folded(title: str, *content: nodes.Node, kind: str) -> nodes.admonition:
    """Content below a control that shows it, which is a ``<details>`` element in HTML."""
    box = nodes.admonition("", classes=["folded", kind], collapsible="closed")
    box += nodes.title("", title)
    box += content
    return box


def questions_hide_their_answers(app: Sphinx, document: nodes.document) -> None:
    """Put each question into a box, and hide its answer until the reader asks for it."""
    if cells := cells_of(app):
        hide_answers(document, cells)


def hide_answers(document: nodes.document, cells: list[NotebookNode]) -> None:
    """Change a document in place, as `questions_hide_their_answers` says.

    The outputs of all code cells between the question and the next prose are the answer. Prose that
    has the tag ``answer`` and follows them belongs to it.
    """
    blocks = blocks_of(document, len(cells))
    for number, cell in enumerate(cells):
        if cell.cell_type != "markdown" or f"**{WORDS['predict']}:**" not in cell.source:
            continue
        box_question(blocks[number])
        codes = list(takewhile(lambda c: c.cell_type == "code", cells[number + 1 :]))
        last = number + len(codes)
        outputs = [part for n in range(number + 1, last + 1) for part in taken_outputs(blocks[n])]
        if not outputs:
            continue
        answer = folded(WORDS["show_answer"], *right_letter(cell), *outputs, kind="answer")
        (code,) = blocks[last]
        code.parent.insert(code.parent.index(code) + 1, answer)
        if last + 1 < len(cells) and "answer" in cells[last + 1].metadata.get("tags", []):
            for block in blocks[last + 1]:
                block.parent.remove(block)
                answer += block


def blocks_of(document: nodes.document, count: int) -> list[list[nodes.Element]]:
    """The parts of a document by the cells from which they come. There are ``count`` cells."""
    blocks: list[list[nodes.Element]] = [[] for _ in range(count)]
    for section in document.findall(nodes.section):
        for block in section.children:
            heading = isinstance(block, (nodes.section, nodes.title))
            if isinstance(block, nodes.Element) and block.line and not heading:
                # myst_nb numbers the lines of the first cell from 10000, of the next from 20000.
                blocks[block.line // 10000 - 1].append(block)
    return blocks


def box_question(blocks: list[nodes.Element]) -> None:
    """Put a question into a box. It begins with the bold word and ends with its cell.

    Raises ValueError if no paragraph has the bold word.
    """
    words = [bold_word(block) for block in blocks]
    starts = [(n, word) for n, word in enumerate(words) if word is not None]
    if not starts:
        found = " ".join(block.astext() for block in blocks)
        raise ValueError(
            f"**{WORDS['predict']}:** is not in a paragraph of {found!r}: move it there."
        )
    start, word = starts[0]
    paragraph = blocks[start]
    before, after = paragraph.children[:word], paragraph.children[word + 1 :]
    question = nodes.paragraph("", "", *after)
    if isinstance(question.children[0], nodes.Text):
        text = question.children[0].lstrip()
        question.children[0] = nodes.Text(text[:1].upper() + text[1:])
    box = nodes.admonition("", nodes.title("", WORDS["predict"]), question, classes=["question"])
    parent = paragraph.parent
    parent.insert(parent.index(paragraph) + 1, box)
    paragraph.children = before
    for block in blocks[start + 1 :]:
        parent.remove(block)
        box += block
    if not before:
        parent.remove(paragraph)


def bold_word(block: nodes.Element) -> int | None:
    """The place of the bold word that begins a question, in a paragraph that has it."""
    for number, child in enumerate(block.children if isinstance(block, nodes.paragraph) else []):
        if isinstance(child, nodes.strong) and child.astext() == f"{WORDS['predict']}:":
            return number
    return None


def taken_outputs(blocks: list[nodes.Element]) -> list[nodes.container]:
    """Remove the output of a code cell and return it, if there is one.

    It takes the anchor of its cell with it, because a browser opens a closed ``<details>`` element
    if it contains the target of a link.
    """
    (code,) = blocks
    taken = []
    for part in list(code.children):
        if isinstance(part, nodes.Element) and part.get("nb_element") == "cell_code_output":
            code.remove(part)
            taken.append(nodes.container("", part, classes=["cell"], ids=code["ids"]))
            code["ids"] = []
    return taken


def right_letter(question: NotebookNode) -> list[nodes.paragraph]:
    """The line that names the correct option, if the tags of a question do."""
    bold = [nodes.strong("", letter) for letter in right_letters(question)]
    return [nodes.paragraph("", "", nodes.Text(f"{WORDS['answer']} "), one) for one in bold]


def plotting_code_is_folded(app: Sphinx, document: nodes.document) -> None:
    """Hide the code of the cells that have the tag ``hide-input`` until the reader asks for it."""
    for cell in document.findall(nodes.container):
        # myst_nb hides it as well, but a screen reader hears "Toggle hidden content" there.
        if cell.attributes.pop("hide_mode", None) == "input":
            code = cell.children[0]
            cell.replace(code, folded(WORDS["show_code"], code.deepcopy(), kind="code"))


def titles_in_the_sidebar_are_short(app: Sphinx, document: nodes.document) -> None:
    """Name each notebook in the sidebar after its file, such as *2 · Saving for inference*."""
    for toctree in document.findall(addnodes.toctree):
        # In place, because Sphinx has stored the list elsewhere.
        toctree["entries"][:] = [
            (title or short_title(docname), docname) for title, docname in toctree["entries"]
        ]


def short_title(docname: str) -> str | None:
    """The title made from the name of a notebook. None for another page, which keeps its title."""
    number, _, name = posixpath.basename(docname).partition("_")
    if not number.isdigit():
        return None
    words = name.replace("_", " ").replace("crash safe", "crash-safe").capitalize()
    return f"{int(number)} · {words}"


def produced(path: Path) -> dict:
    """The date and the versions that ``make refresh`` stored in a notebook."""
    return read(path).metadata.get("produced", {})


def says_on_what_it_was_produced(app: Sphinx, document: nodes.document) -> None:
    """Write below the title where the outputs come from, and how to get and run the notebook."""
    docname = app.env.docname
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".ipynb":
        line = [*produced_line([path]), *links_to_run_it(app)]
    elif docname in INDEXES:
        line = produced_line(sorted(path.parent.glob("*.ipynb")))
    elif docname == "index":
        line = produced_line([path.parent / "notebooks/04_checkpoints.ipynb"])
    else:
        return
    paragraph = nodes.paragraph("", "", *line, classes=["produced"])
    for box in document.findall(nodes.container):
        if "telling-figure" in box["classes"]:
            box += paragraph
            return
    next(document.findall(nodes.title)).parent.insert(1, paragraph)


def links_to_run_it(app: Sphinx) -> list[nodes.Node]:
    """Links to download a notebook, to set up what it needs, and to open it in Colab."""
    docname = app.env.docname

    def link(words: str, target: str) -> nodes.reference:
        if "://" not in target:
            target = posixpath.relpath(target, posixpath.dirname(docname))
        return nodes.reference("", WORDS[words], refuri=target)

    line = [link("download", f"_sources/{docname}.ipynb"), nodes.Text(". ")]
    line += [nodes.Text(f"{WORDS['needs_helpers']} "), link("set_up", f"index.html#{SETUP}")]
    if address := in_colab(app, f"{docname}.ipynb"):
        line += [nodes.Text(". "), link("colab", address), nodes.Text(". ")]
        line += [link("colab_needs", f"TEACHING.html#{COLAB}")]
    exercises = f"notebooks/exercises/release/{(name := posixpath.basename(docname))}/{name}"
    if exercises != docname and exercises in app.env.found_docs:
        line += [nodes.Text(". "), link("exercises_of", f"{exercises}.html")]
    return [*line, nodes.Text(".")]


def in_colab(app: Sphinx, path: str) -> str | None:
    """The address that opens a notebook in Colab, if the repository is known and on GitHub."""
    repository = app.config.html_theme_options.get("repository_url", "")
    github = "https://github.com/"
    if not repository.startswith(github):
        return None
    name = repository.removeprefix(github)
    return f"https://colab.research.google.com/github/{name}/blob/main/{path}"


def produced_line(paths: list[Path]) -> list[nodes.Node]:
    """The sentence about the origin of the outputs, or nothing if there are none."""
    stories = [story for story in map(produced, paths) if story]
    if not stories:
        return []
    days = sorted({story["day"] for story in stories})
    systems = sorted({story["system"] for story in stories})
    versions = {f"{k} {v}" for story in stories for k, v in story["versions"].items()}
    versions = sorted(versions, key=lambda v: (not v.startswith(("Python", "torch ")), v.lower()))
    text = WORDS["outputs_of"].format(
        days=f" {WORDS['to']} ".join(dict.fromkeys([days[0], days[-1]])),
        versions=", ".join(versions),
        systems=f" {WORDS['and']} ".join(systems),
    )
    return [nodes.Text(f"{text} ")]


def files_that_are_no_python(app: Sphinx, document: nodes.document) -> None:
    """Do not highlight as Python the content of a file in another language."""
    for block in document.findall(nodes.literal_block):
        first = block.astext().partition("\n")[0]
        if first.startswith("%%writefile") and not first.endswith(".py"):
            block["language"] = "text"


def links_into_the_repository(app: Sphinx, document: nodes.document) -> None:
    """Link files that are only in the repository to it, if its address is known."""
    folder = posixpath.dirname(app.env.docname)
    repository = app.config.html_theme_options.get("repository_url")
    for node in list(document.findall(addnodes.pending_xref)):
        path, _, anchor = node["reftarget"].partition("#")
        target = posixpath.normpath(posixpath.join(folder, path))
        if node["reftype"] != "myst" or node["refdomain"] or not (ROOT / target).exists():
            continue
        inner = node[0]
        if page := {"README.md": "index", "notebooks/exercises/release": "exercises"}.get(target):
            node.update_all_atts({"refdomain": "doc", "reftarget": page}, replace=True)
            node["reftargetid"] = anchor or None
        elif repository:
            address = f"{repository}/blob/main/{target}"
            node.replace_self(nodes.reference("", "", inner, refuri=address))
        else:
            node.replace_self(inner)


def a_known_repository_can_be_cloned(app: Sphinx, document: nodes.document) -> None:
    """Put the commands that clone the repository before those that start the course."""
    repository = app.config.html_theme_options.get("repository_url")
    if app.env.docname != "index" or not repository:
        return
    for box in document.findall(nodes.container):
        if "commands" in box["classes"]:
            block = next(box.findall(nodes.literal_block))
            folder = posixpath.basename(repository)
            text = f"git clone {repository}\ncd {folder}\n{block.astext()}"
            block.replace_self(nodes.literal_block(text, text, language=block["language"]))
        if "begin" in box["classes"] and (address := in_colab(app, FIRST)):
            link = nodes.reference("", WORDS["colab"], refuri=address)
            next(box.findall(nodes.bullet_list)).append(
                nodes.list_item("", nodes.paragraph("", "", link))
            )


def entries_are_boxes(app: Sphinx, document: nodes.document) -> None:
    """Put each entry of the indexes into a box, which the search field shows or hides.

    The field (``static/search.js``) replaces the paragraph about searching without it.

    An entry begins with the text of an error, or with a line in bold type if there is no text.
    """
    if app.env.docname not in INDEXES:
        return
    (page,) = [child for child in document.children if isinstance(child, nodes.section)]
    next(page.findall(nodes.paragraph))["classes"].append("without-field")
    for section in [child for child in page.children if isinstance(child, nodes.section)]:
        title, *parts = section.children
        text_first = isinstance(parts[0], nodes.literal_block)
        entries: list[nodes.container] = []
        for part in parts:
            bold = "".join(strong.astext() for strong in part.findall(nodes.strong))
            if isinstance(part, nodes.literal_block) if text_first else part.astext() == bold:
                entries.append(nodes.container(classes=["entry"]))
            entries[-1] += part
        section.children = [title]
        section += entries


def pages_of_indexes_can_search(
    app: Sphinx, pagename: str, template: str, context: dict[str, Any], doctree: nodes.document
) -> None:
    """Load the search field, and what it finds, on the pages of the indexes only."""
    if pagename in INDEXES:
        app.add_js_file("entries.js", loading_method="defer")
        app.add_js_file("search.js", loading_method="defer")


def entries_can_be_searched(app: Sphinx, problem: Exception | None) -> None:
    """Write the entries of all indexes, as their pages show them, into a script for the field."""
    if problem:
        return
    found = []
    for docname in INDEXES:
        page = BeautifulSoup((app.outdir / f"{docname}.html").read_bytes(), "html.parser")
        boxes = [str(box) for box in page.select(".entry")]
        entries = errors.read(app.srcdir / f"{docname}.md")
        for entry, box in zip(entries, boxes, strict=True):
            found.append({"texts": entry.texts, "also": entry.also, "rest": entry.rest, "box": box})
    script = f"const ENTRIES = {json.dumps(found)};\nconst RULES = {json.dumps(errors.RULES)};\n"
    (app.outdir / "_static/entries.js").write_text(script, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_js_file(None, body=f"const WORDS = {json.dumps(WORDS)};")  # for the scripts of pages
    for change in (
        cells_can_be_linked,
        questions_hide_their_answers,
        plotting_code_is_folded,
        titles_in_the_sidebar_are_short,
        a_known_repository_can_be_cloned,
        files_that_are_no_python,
        links_into_the_repository,
        entries_are_boxes,
        says_on_what_it_was_produced,
    ):
        app.connect("doctree-read", change)
    app.connect("html-page-context", pages_of_indexes_can_search)
    app.connect("build-finished", entries_can_be_searched)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
