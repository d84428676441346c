"""The features of the site that Sphinx and its extensions do not have."""

import json
import posixpath
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

from course import ROOT, WORDS


def cells_can_be_linked(app: Sphinx, document: nodes.document) -> None:
    """Give each code cell the anchor that JupyterLab uses: ``#cell-id=…``."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    slugs = app.env.metadata[app.env.docname].setdefault("myst_slugs", {})
    for node in document.findall(nodes.container):
        if node.get("nb_element") == "cell_code":
            anchor = f"cell-id={cells[node['cell_index']]['id']}"
            node["ids"].append(anchor)
            slugs[anchor] = (None, anchor, "")  # where myst_parser looks up a target


def produced(path: Path) -> dict:
    """The date and the versions that ``make refresh`` stored in a notebook."""
    return json.loads(path.read_text(encoding="utf-8"))["metadata"].get("produced", {})


def says_on_what_it_was_produced(app: Sphinx, document: nodes.document) -> None:
    """Write below the title where the outputs come from, with a link to download the notebook."""
    docname = app.env.docname
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".ipynb":
        line = produced_line([path])
        source = posixpath.relpath(f"_sources/{docname}.ipynb", posixpath.dirname(docname))
        line += [nodes.reference("", WORDS["download"], refuri=source), nodes.Text(".")]
    elif docname == "notebooks/errors":
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
        target = posixpath.normpath(posixpath.join(folder, node["reftarget"]))
        if node["reftype"] != "myst" or node["refdomain"] or not (ROOT / target).exists():
            continue
        inner = node[0]
        if page := {"README.md": "index", "notebooks/exercises/release": "exercises"}.get(target):
            node.update_all_atts({"refdomain": "doc", "reftarget": page}, replace=True)
            node["reftargetid"] = None
        elif repository:
            address = f"{repository}/blob/main/{target}"
            node.replace_self(nodes.reference("", "", inner, refuri=address))
        else:
            node.replace_self(inner)


def errors_are_entries(app: Sphinx, document: nodes.document) -> None:
    """Put each entry of the index of errors into a box, which the search field shows or hides.

    The field (``static/errors.js``) replaces the paragraph about searching without it.

    An entry begins with the text of an error, or with a line in bold type if there is no text.
    """
    if app.env.docname != "notebooks/errors":
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
                entries.append(nodes.container(classes=["error-entry"]))
            entries[-1] += part
        section.children = [title]
        section += entries


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_js_file(None, body=f"const WORDS = {json.dumps(WORDS)};")  # for the scripts of pages
    for change in (
        cells_can_be_linked,
        files_that_are_no_python,
        links_into_the_repository,
        errors_are_entries,
        says_on_what_it_was_produced,
    ):
        app.connect("doctree-read", change)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
