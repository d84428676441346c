"""Find the entries of the two indexes that fit an error, or a task in your own words.

``python -m helpers.errors`` reads an error from standard input and prints the entries that fit.
"""

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
    r"Please use `?torch\.serialization\.add_safe_globals.*$",
    r"This is an internal miniz error.*$",
    r"If you are seeing this error, there is a high likelihood.*$",
    r"\(?Exception raised from .*$",
    r"^frame #\d+:.*$",
]
# These occur in unrelated errors too. An entry with such a text is found by the whole wording.
PHRASES = [
    r"object has no attribute|No module named|No such file or directory|object is not callable",
    r"got an unexpected keyword argument|missing \d+ required positional arguments?:",
    r"The size of tensor a .* must match the size of tensor b .* at non-singleton dimension",
    r"CUDA out of memory\. Tried to allocate.*$|expected scalar type \w+ but found \w+",
    r"list index out of range|pop from empty list|unsupported operand type",
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
    r"[A-Za-z_]\w*(?:\.\w+)+",
]
NUMBERS = r"operand \d+"
ENDING = r"(?<=\w{3})(?:ings?|ed|es|s|e|y)$"
COMMON = set(
    """a an and are as at be been but by can did do does for from get gets got had has have how i if
    in into is it its me my no not of on or our so than that the their them then there these they
    this to too up was we were what when where which while why will with would you your after
    before only other same all any again just file error line""".split()
)


@dataclass(frozen=True)
class Entry:
    """An entry of an index: the texts it is found by, other wordings, and its Markdown."""

    texts: tuple[str, ...]
    also: tuple[str, ...]
    rest: str
    source: str
    page: str


@dataclass(frozen=True)
class Hit:
    """An entry that was found. If it does not fit, it is one of the nearest."""

    entry: Entry
    score: float
    fits: bool
    why: tuple = ()


def read(page: Path) -> list[Entry]:
    """The entries of a page, in their order."""
    found = []
    for section in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.M)[1:]:
        heading, _, body = section.partition("\n")
        # An entry begins with a text, or with a line in bold type if its section has no texts.
        first = r"^```text$" if body.strip().startswith("```text") else r"^\*\*.+\*\*$"
        starts = [match.start() for match in re.finditer(first, body, re.M)]
        for start, end in zip(starts, [*starts[1:], len(body)], strict=True):
            found.append(_entry(body[start:end].strip(), heading, page.name))
    return found


def _entry(source: str, heading: str, page: str) -> Entry:
    head, _, rest = source.partition("\n```\n" if source.startswith("```") else "\n")
    texts = [line.strip() for line in head.removeprefix("```text\n").strip("*").splitlines()]
    also = [text for _, text in re.findall(r"^- (`+) ?(.+?) ?\1(?!`)", rest, re.M)]
    for line in re.findall(r"^\*\*Also asked as:\*\* (.+)$", rest, re.M):
        also += line.split(" · ")
    return Entry(tuple(texts), tuple(also), f"{heading}\n{rest}", source, page)


def parse(text: str) -> tuple[list[list[str]], set[str]]:
    """The words of each line, and the words in names. If nothing else is left, names are words."""
    for leave_out in (NOISE + PHRASES + NAMES, NOISE + PHRASES, NOISE[:3] + PHRASES):
        left, names = text, []
        for pattern in leave_out:
            if pattern in NAMES:
                names += re.findall(pattern, left)
            left = re.sub(pattern, " ", left, flags=re.MULTILINE)
        lines = [words for words in map(_words, left.splitlines()) if words]
        if lines:
            break
    return lines, {word for name in names for word in re.findall(r"[^\W\d_]{2,}", name.lower())}


def _words(line: str) -> list[str]:
    found = [word for word in re.findall(r"[^\W\d_]{2,}", line.lower()) if word not in COMMON]
    numbers = re.findall(NUMBERS, line.lower())
    return [re.sub(ENDING, "", word) for word in found] + numbers


def grams(lines: list[list[str]]) -> set[str]:
    """The single words, pairs and triples of neighbouring words."""
    found = set()
    for line in lines:
        for size in (1, 2, 3):
            for start in range(len(line) - size + 1):
                found.add(" ".join(line[start : start + size]))
    return found


def plain(text: str) -> str:
    """A text in lower case, on one line, without colours, with one kind of quotation mark."""
    text = re.sub(r"[`’‘\"]", "'", re.sub(NOISE[0], "", text))
    return re.sub(r"\s+", " ", text).lower().strip()


class Index:
    """Finds entries: by a whole wording of theirs, or by the words that they share with a text."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.wordings: list[list[tuple[str, int]]] = []
        self.strong: list[set[str]] = []
        self.weak: list[set[str]] = []
        self.names: list[set[str]] = []
        for entry in entries:
            texts = [*entry.texts, *entry.also]
            lines, names = parse("\n".join(texts).replace("…", "\n"))
            rest, _ = parse(entry.rest)
            self.wordings.append([_wording(text) for text in texts if _says_something(text)])
            self.strong.append(grams(lines))
            self.weak.append(grams(rest) - grams(lines))
            self.names.append(names)
        either = [strong | weak for strong, weak in zip(self.strong, self.weak, strict=True)]
        self.weights = _weights(either)
        self.name_weights = _weights(self.names)

    def search(self, pasted: str) -> list[Hit]:
        """The entries that fit, the best first. If none fits, the nearest ones."""
        lines, names = parse(pasted)
        asked, text = grams(lines), plain(pasted)
        hits = [self._hit(n, lines, asked, names, text) for n in range(len(self.entries))]
        hits.sort(key=lambda hit: -hit.score)
        return hits

    def _hit(self, n, lines, asked, names, text):
        strong = sum(self.weights[gram] for gram in asked & self.strong[n])
        weak = sum(self.weights[gram] for gram in asked & self.weak[n])
        known = sum(self.name_weights[name] for name in names & self.names[n])
        wording = max([size for find, size in self.wordings[n] if re.search(find, text)], default=0)
        cover = max([self._cover(n, set(line)) for line in lines], default=0)
        score = strong + 0.25 * weak + 0.3 * known + 0.2 * wording
        return Hit(self.entries[n], score, wording > 0 or (score >= 4.5 and cover >= 0.5), (cover, wording, strong, weak, known))

    def _cover(self, n: int, words: set[str]) -> float:
        """The share of the words of a line that an entry has, too, weighted by their rarity."""
        share = sum(self.weights[word] for word in words & self.strong[n])
        share += 0.4 * sum(self.weights[word] for word in words & self.weak[n])
        return share / sum(self.weights.get(word, 1.0) for word in words)


def _says_something(text: str) -> bool:
    for pattern in NOISE:
        text = re.sub(pattern, "", text)
    return len(text.replace("…", "")) > 12


def _wording(text: str) -> tuple[str, int]:
    """A regular expression for a text in which … means anything, and how much it says."""
    parts = [re.sub(r"\bn\b", r"\\d+", re.escape(part.strip())) for part in plain(text).split("…")]
    return ".{0,400}?".join(parts), sum(map(len, parts))


def _weights(sets: list[set[str]]) -> dict[str, float]:
    """How rare each member is among the sets: 1 in one of them, and near 0 in all."""
    counts = Counter(member for members in sets for member in members)
    most = math.log(1 + len(sets))
    return {member: 1 - math.log(count) / most for member, count in counts.items()}
