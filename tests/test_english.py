"""The prose, the comments and the docstrings avoid the words that tools/labels.toml lists."""

import ast
import io
import re
import tokenize
import tomllib
from pathlib import Path

import pytest

from course import LANGUAGE, ROOT, read

AVOID: dict[str, str] = tomllib.loads((ROOT / "tools/labels.toml").read_text(encoding="utf-8"))[
    "avoid"
][LANGUAGE]
FOLDERS = ("helpers", "notebooks", "tests", "tools", "docs/pages")
PAGES = sorted(
    path
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".md", ".ipynb", ".py") and "release" not in path.parts
)
PAGES += [*ROOT.glob("*.md"), ROOT / "conftest.py", ROOT / "docs/conf.py"]


def comments(code: str) -> str:
    """The comments and the docstrings of Python code, or nothing if it is not Python."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(code).readline))
        nodes = list(ast.walk(ast.parse(code)))
    except (SyntaxError, tokenize.TokenError):  # a cell with a magic
        return "\n".join(re.findall(r"#.*", code))
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    found += [ast.get_docstring(node) or "" for node in nodes if isinstance(node, documented)]
    return "\n".join(found)


def prose(path: Path) -> str:
    """The prose of a file, without code."""
    if path.suffix == ".py":
        return comments(path.read_text(encoding="utf-8"))
    if path.suffix == ".ipynb":
        parts = []
        for cell in read(path).cells:
            parts.append(cell.source if cell.cell_type == "markdown" else comments(cell.source))
        text = "\n".join(parts)
    else:
        text = path.read_text(encoding="utf-8")
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.DOTALL)


def avoidable(text: str) -> list[str]:
    found = []
    for words, better in AVOID.items():
        for match in re.finditer(rf"(?i)\b(?:{words})\b", text):
            around = text[max(0, match.start() - 30) : match.end() + 30].replace("\n", " ")
            found.append(f"{match[0]!r} in {around!r}: better {better}")
    return found


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_avoids_the_words_on_the_list(path):
    assert avoidable(prose(path)) == []


@pytest.mark.parametrize("words", AVOID)
def test_each_pattern_finds_something(words):
    """A pattern that is written wrong would find nothing anywhere."""
    plain = words.replace("s?", "s").replace("(?!longer|more|less|matter|doubt)", "tar archive")
    plain = plain.replace("(?<!there )", "It ").replace("(?-i:", "(")
    plain = plain.replace("(?=[.,;:)\\n]|$)", ".")
    plain = re.sub(r"\(([^|)]*)[^)]*\)", r"\1", plain)
    assert avoidable(f"Here {plain} ends.")


def test_code_is_not_prose(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("Run `whoever` and\n\n```\nanew\n```\n")
    assert avoidable(prose(page)) == []
    page.write_text("Begin anew.")
    assert len(avoidable(prose(page))) == 1
