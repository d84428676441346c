"""Find the entries of the indexes of errors and tasks that fit an error, or a task in your words.

``python -m helpers.errors`` reads an error from standard input and prints the entries that fit.
The search field of the web site (``docs/static/search.js``) finds the same entries.
"""

import argparse
import codecs
import contextlib
import io
import math
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

PAGES = [Path(__file__).parent.parent / "notebooks" / name for name in ("errors.md", "tasks.md")]

# What torch, Python and their tools print around many errors. It decides only if nothing is left.
NOISE = [
    r"\x1b\[[0-9;]*m",
    r"^[ \t]*(?:File \".*\", line \d+.*(?:\n {4}.*)*|File .*:\d+, in .*|Cell In.*|[~^ ]+)$",
    r"^(?:Traceback \(most recent call last\):|E  +|> +|(?:-+>| +) *\d+ .*)",
    r"^(?:During handling of the above|The above exception was the direct).*$",
    r"Weights only load failed\.?",
    r"This file can still be loaded, to do so you have two options,.*$",
    r"\([12]\) (?:In PyTorch 2\.6|Alternatively, to load with).*$",
    r"In PyTorch 2\.6, we changed the default value.*$",
    r"Re-?running `?torch\.load`? with `?weights_only`? set to.*$",
    r"Please file an issue with the following so that we can make.*?use case:",
    r"WeightsUnpickler error:",
    r"Check the documentation of torch\.load.*$",
    r"was not an allowed global by default.*$",
    r"This is an internal miniz error.*$",
    r"If you are seeing this error, there is a high likelihood.*$",
    r"Error\(s\) in loading state_dict for \w+:",
    r"\(?Exception raised from .*$",
    r"^frame #\d+:.*$",
]
# These occur in unrelated errors too. An entry with such a text is found by the whole wording.
PHRASES = [
    r"object has no attribute|No module named|No such file or directory|object is not \w+",
    r"got an unexpected keyword argument|missing \d+ required positional arguments?:",
    r"The size of tensor a .* must match the size of tensor b .* at non-singleton dimension",
    r"CUDA out of memory\. Tried to allocate.*$|expected scalar type \w+ but found \w+",
    r"list index out of range|pop from empty list|unsupported operand type",
    r"maximum recursion depth exceeded|Can't pickle local object|Can't get local object",
    r"saved tensors|saved intermediate values of the graph|codec can't decode bytes?",
    r"DataLoader worker .*is killed by signal",
    r"\[(?:Errno|WinError) \d+\] [A-Z][\w -]+",
    r"\b\w*(?:Error|Exception|Warning)\b",
]
# The reader's names: quoted, a path, or words joined by dots.
NAMES = [
    r"(?<!\w)'[^'\n]*'(?!\w)",
    r"\"[^\"\n]*\"",
    r"`[^`\n]*`",
    r"(?:[A-Za-z]:)?[~.]*(?:[\\/][\w.~@+-]+){2,}",
    r"\bGLOBAL \S+",
    r"(?<!\w)[A-Za-z_]\w*(?:\.\w+)+",
]
KIND = r"^[\w.]*(?:Error|Exception|Warning):? *"  # at the beginning of a wording
NUMBERS = r"operand \d+"
ENDINGS_OF_FILES = r"\.(?:pth|ckpt|bin|tar|pkl|tmp|pt)\b"
ENDING = r"(?<=\w{3})(?:ings?|ed|es|s|e|y)$"
COMMON = re.findall(  # words that say nothing
    r"\w+",
    "a an and are as at be been but by can did do does for from get gets got had has have how i if "
    "in into is it its me my no not of on or our so than that the their them then there these they "
    "this to too up was we were what when where which while why will with would you your after "
    "before only other same all any again just file error line please make sure use used using",
)
# A text about saving and loading has one of these, as stems of its words or in a name.
SUBJECT = re.findall(
    r"[a-z ]+",
    "bin,checkpoint,ckpt,deserializ,load adapter,load checkpoint,load model,load optimizer,"
    "load pretrain,load stat,load train,load weight,onnx,pickl,pt,pth,reload,restor,resum,"
    "safetensor,safetensors,sav,torch load,unpickl",
)
UNWORDED = r"\w(?:Error|Exception|Warning)\b|[:=(\[{_'\"]"  # not in a task in the reader's words
# An entry fits from this score and this share of a line on. The first pair is for any text, the
# others for a text about the subject. They are the ones that serve tests/reports best.
BOUNDS = [(2.5, 0.65), (1.8, 0.8), (5.0, 0.5)]
SHOWN, NEAREST = 5, 3  # so many entries at most
LONGEST = 20_000  # characters of what was pasted, half of them from its beginning
# Of the names in a long list, only the first ones are read.
LISTS = r'((?:"[^"\n]{1,300}",\s){4})(?:"[^"\n]{1,300}",\s)+'
SYSTEM = r"(\[(?:Errno|WinError) \d+\]) [^:'\n…]*"  # its message depends on the language
RULES = {
    "noise": NOISE,
    "phrases": PHRASES,
    "names": NAMES,
    "kind": KIND,
    "numbers": NUMBERS,
    "ending": ENDING,
    "common": COMMON,
    "subject": SUBJECT,
    "unworded": UNWORDED,
    "bounds": BOUNDS,
    "shown": SHOWN,
    "nearest": NEAREST,
    "longest": LONGEST,
    "lists": LISTS,
    "system": SYSTEM,
    "endings": ENDINGS_OF_FILES,
}


@dataclass(frozen=True)
class Entry:
    """An entry of an index: the lines of its text, other wordings, and its Markdown."""

    texts: tuple[str, ...]
    also: tuple[str, ...]
    rest: str
    source: str


def read(page: Path) -> list[Entry]:
    """The entries of a page, in their order."""
    found = []
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        # An entry begins with a text, or with a line in bold type if its section has no texts.
        first = r"^```text$" if body.strip().startswith("```text") else r"^\*\*.+\*\*$"
        starts = [match.start() for match in re.finditer(first, body, re.MULTILINE)]
        for start, end in zip(starts, [*starts[1:], len(body)], strict=True):
            found.append(_entry(body[start:end].strip(), heading))
    return found


def _entry(source: str, heading: str) -> Entry:
    head, _, rest = source.partition("\n```\n" if source.startswith("```") else "\n")
    texts = [line.strip() for line in head.removeprefix("```text\n").strip("*").splitlines()]
    also = [text for _, text in re.findall(r"^- (`+) ?(.+?) ?\1(?!`)", rest, re.MULTILINE)]
    for line in re.findall(r"^\*\*Also asked as:\*\* (.+)$", rest, re.MULTILINE):
        also += line.split(" · ")
    rest = re.sub(r"<details>.*</details>", "", rest, flags=re.DOTALL)
    return Entry(tuple(texts), tuple(also), f"{heading}\n{rest}", source)


def shortened(text: str) -> str:
    """A text without the middle of long lists of names, and without its own middle if it is long.

    The error is at the end of a traceback, and at the beginning if a log follows.
    """
    if len(text) <= LONGEST:
        return text
    text = re.sub(LISTS, r"\1", text)
    half = LONGEST // 2
    return text if len(text) <= LONGEST else f"{text[:half]}\n{text[-half:]}"


def parse(text: str) -> tuple[list[list[str]], set[str]]:
    """The words of each line, and the words in names. If nothing else is left, names are words."""
    lines: list[list[str]] = []
    names: list[str] = []
    for leave_out in (NOISE + PHRASES + NAMES, NOISE + PHRASES, NOISE[:3] + PHRASES):
        left, names = text.replace("\r", ""), []
        for pattern in leave_out:
            if pattern in NAMES:
                names += re.findall(pattern, left)
            left = re.sub(pattern, " ", left, flags=re.MULTILINE)
        lines = [words for words in map(_words, left.split("\n")) if words]
        if lines:
            break
    return lines, {word for name in names for word in re.findall(r"[a-z]{2,}", name.lower())}


def _words(line: str) -> list[str]:
    found = [word for word in re.findall(r"[a-z]{2,}", line.lower()) if word not in COMMON]
    return [re.sub(ENDING, "", word) for word in found] + re.findall(NUMBERS, line.lower())


def _grams(lines: list[list[str]]) -> set[str]:
    """The single words, pairs and triples of neighbouring words."""
    found = set()
    for line in lines:
        for size in (1, 2, 3):
            for start in range(len(line) - size + 1):
                found.add(" ".join(line[start : start + size]))
    return found


def _plain(text: str) -> str:
    """A text in lower case, on one line, with one kind of quotation mark, and of file ending."""
    text = re.sub(r"[’‘\"]", "'", re.sub(NOISE[0], "", text).replace("`", ""))
    text = re.sub(ENDINGS_OF_FILES, ".pt", re.sub(SYSTEM, r"\1", text))
    return re.sub(r"\s+", " ", text).lower().strip()


def _wording(text: str) -> tuple[re.Pattern[str], int]:
    """An expression for a text in which … means anything and N a number, and its length."""
    whole = re.sub(KIND, "", text) or text
    said = whole
    for pattern in NOISE:
        said = re.sub(pattern, "", said, flags=re.MULTILINE)
    length = len(said.strip().replace("…", ""))
    short = length < 12  # too little to mean anything inside a longer text
    parts = [re.escape(part.strip()) for part in _plain(whole if short else said).split("…")]
    while len(parts) > 1 and not parts[0]:  # otherwise the search begins at every position
        parts = parts[1:]
    while len(parts) > 1 and not parts[-1]:
        parts = parts[:-1]
    expression = ".{0,2000}?".join(re.sub(r"\bn\b", r"\\d+", part) for part in parts)
    return re.compile(rf"(?:^|\s){expression}$" if short else expression), length


class Index:
    """Finds entries by a whole wording of theirs, or by the words that they share with a text."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.wholes: list[str] = []
        self.wordings: list[list[tuple[re.Pattern[str], int]]] = []
        self.strong: list[set[str]] = []
        self.weak: list[set[str]] = []
        self.names: list[set[str]] = []
        for entry in entries:
            texts = [*entry.texts, *entry.also]
            # A wording with " … " is one with its context: its words alone mean nothing.
            alone = [text.replace("…", "\n") for text in texts if " … " not in text]
            lines, names = parse("\n".join(alone))
            rest, _ = parse(entry.rest)
            self.wholes.append(_plain(" ".join(entry.texts)))
            self.wordings.append([_wording(text) for text in texts])
            self.strong.append(_grams(lines))
            self.weak.append(_grams(rest) - _grams(lines))
            self.names.append(names)
        either = [strong | weak for strong, weak in zip(self.strong, self.weak, strict=True)]
        self.weights = _weights(either)
        self.name_weights = _weights(self.names)

    def search(self, pasted: str) -> tuple[list[Entry], bool]:
        """The entries that fit, the best first, and True; or the nearest ones, and False."""
        pasted = shortened(pasted)
        lines, names = parse(pasted)
        asked, text = _grams(lines), _plain(pasted)
        about_it = not (asked | names).isdisjoint(SUBJECT)
        in_words = len(lines) == 1 and not re.search(UNWORDED, pasted)
        bounds = BOUNDS if about_it else BOUNDS[:1]
        fitting, nearest = [], []
        for number, entry in enumerate(self.entries):
            strong = sum(self.weights[gram] for gram in asked & self.strong[number])
            weak = sum(self.weights[gram] for gram in asked & self.weak[number])
            known = sum(self.name_weights[name] for name in names & self.names[number])
            score = round(strong + 0.25 * weak + 0.3 * known, 6)
            sizes = [size for find, size in self.wordings[number] if find.search(text)]
            if text.count(" ") > 1 and text in self.wholes[number]:
                sizes.append(len(text))
            least = 2.0 if len(lines) > 1 else 0.0  # a short line of many says little
            cover = max([self._cover(number, set(line), least) for line in lines], default=0)
            if sizes or any(score >= bound and cover >= part for bound, part in bounds):
                fitting.append((-score - 0.2 * max(sizes, default=0), number, entry))
            elif score >= 1 and (about_it or (in_words and cover >= 0.55)):
                nearest.append((-score, number, entry))
        if fitting:
            return [entry for _, _, entry in sorted(fitting)[:SHOWN]], True
        return [entry for _, _, entry in sorted(nearest)[:NEAREST]], False

    def _cover(self, n: int, words: set[str], least: float) -> float:
        """The share of the words of a line that an entry has as well, weighted by their rarity."""
        share = sum(self.weights[word] for word in words & self.strong[n])
        share += 0.4 * sum(self.weights[word] for word in words & self.weak[n])
        return share / max(least, sum(self.weights.get(word, 1.0) for word in words))


def _weights(sets: list[set[str]]) -> dict[str, float]:
    """How rare each member is among the sets: 1 in one of them, and near 0 in all."""
    counts = Counter(member for members in sets for member in members)
    most = math.log(1 + len(sets))
    return {member: 1 - math.log(count) / most for member, count in counts.items()}


def main() -> int:
    """Print the entries that fit an error. Returns 1 if none fits."""
    parser = argparse.ArgumentParser(prog="python -m helpers.errors", description=__doc__)
    parser.add_argument("file", nargs="?", help="a file with the error; otherwise standard input")
    file = parser.parse_args().file
    if not file and sys.stdin.isatty():
        print("Paste the error, then press Ctrl+D. On Windows, press Ctrl+Z and Enter.")
    content = Path(file).read_bytes() if file else sys.stdin.buffer.read()
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes
    text = content.decode("utf-16" if utf16 else "utf-8", errors="replace")
    index = Index([entry for page in PAGES for entry in read(page)])
    text = shortened(text)
    found, fits = index.search(text)
    parts = [] if found and fits else ["No entry fits. These are the nearest:"]
    if not found:
        parts = ["No entry fits. Paste the lines of the error, or use other words."]
    parts += [f"{'-' * 80}\n{_printed(entry.source, text)}" for entry in found]
    if isinstance(sys.stdout, io.TextIOWrapper):  # a code page of Windows lacks some characters
        sys.stdout.reconfigure(errors="replace")
    with contextlib.suppress(BrokenPipeError):  # of a reader such as `head`
        print("\n\n".join(parts), flush=True)
    return 0 if found and fits else 1


def _printed(source: str, pasted: str) -> str:
    """The Markdown of an entry, with only those of its other wordings that fit a text.

    If a wording that fits has a separate fix, this fix comes first.
    """
    text, there = _plain(pasted), _said(pasted)
    entry = _entry(source, "")
    whole = any(_wording(wording)[0].search(text) for wording in [*entry.texts, *entry.also])
    own_fixes, lines = [], []
    for line in source.splitlines():
        other = re.match(r"- (`+) ?(.+?) ?\1(?!`)(: .+)?", line)
        said = _said(other[2]) if other else set()
        resembles = len(said & there) >= 0.6 * len(said)
        if not other or (_wording(other[2])[0].search(text) if whole else resembles):
            kept = own_fixes if other and other[3] and whole else lines
            kept.append(re.sub(r"</?(?:details|summary)>", "", line))
    rest = re.sub(r"\n+Also seen as, not run here\n*$", "", "\n".join(lines)).strip()
    return "\n".join([*own_fixes, "", rest]) if own_fixes else rest


def _said(text: str) -> set[str]:
    """The words of a text, also those in names."""
    lines, names = parse(text)
    return {word for line in lines for word in line} | names


if __name__ == "__main__":
    sys.exit(main())
