/* The search field of the index of errors: paste an error, or a piece of it, and see what fits.

   What is pasted has names, paths and numbers in it that are not in the index. So a text is found by
   the words that it shares with what was pasted, and by the pairs and triples of neighbouring words;
   the rarer these are in the index, the more they count. */

"use strict";
// WORDS, from tools/labels.toml, stand in a script before this one.

const COLOURS = /\u001b\[[0-9;]*m/g;
// The lines of a traceback that say where: `File "train.py", line 3, in main` and the code below it,
// and IPython's `File ~/train.py:3, in main()`, `Cell In[1], line 3` and `----> 3 main()`.
const FRAMES = /^ *File ".*", line \d+.*\n( {4}.*\n)*|^(File .*:\d+, in .*|Cell In.*|(-+>| +) *\d+ .*)$/gm;

/** The words of a text, in lower case; of its numbers only those by which errors differ. */
function words(text) {
  const plain = text.replace(COLOURS, "").replace(FRAMES, "").toLowerCase();
  return plain.match(/\p{L}+|(?<=(operand|errno) )\d+/gu) ?? [];
}

/** The single words, pairs and triples of a text, each once. */
function grams(text) {
  const all = words(text);
  const found = new Set();
  for (let size = 1; size <= 3; size++) {
    for (let start = 0; start + size <= all.length; start++) {
      found.add(all.slice(start, start + size).join(" "));
    }
  }
  return found;
}

/** Of the lines that were pasted, the share of the best one that a text has, too: 0 to 1.

    Counted are pairs of neighbouring words; in a line of a few words, whose pairs have names of your
    own in them, the words. */
function fit(pasted, found) {
  const shares = pasted
    .replace(FRAMES, "")
    .split("\n")
    .map((line) => [words(line).length > 3 ? 2 : 1, [...grams(line)]])
    .map(([size, all]) => all.filter((gram) => gram.split(" ").length === size))
    .filter((all) => all.length > 0)
    .map((all) => all.filter((gram) => found.has(gram)).length / all.length);
  return Math.max(0, ...shares);
}

/** A function from what was pasted to the numbers of the texts that fit it, the best one first. */
function makeSearch(texts) {
  const index = texts.map(grams);
  const seen = new Map();
  for (const found of index) for (const gram of found) seen.set(gram, (seen.get(gram) ?? 0) + 1);
  const weight = (gram) => Math.log((1 + texts.length) / seen.get(gram));
  const sum = (found) => [...found].reduce((total, gram) => total + weight(gram), 0);
  const whole = index.map(sum);

  return (pasted) => {
    const asked = [...grams(pasted)].filter((gram) => seen.has(gram));
    const wanted = sum(asked);
    const scored = index.map((found, number) => {
      const shared = sum(asked.filter((gram) => found.has(gram)));
      const unshared = 0.1 * (wanted - shared) + 0.02 * (whole[number] - shared);
      return { number, score: shared && (shared * shared) / (shared + unshared) };
    });
    const best = Math.max(...scored.map(({ score }) => score));
    return scored
      .filter(({ score }) => score > 0 && score >= 0.3 * best)
      .filter(({ number }) => fit(pasted, index[number]) >= 0.4)
      .sort((a, b) => b.score - a.score)
      .map(({ number }) => number);
  };
}

function addField(entries) {
  const text = (entry) => entry.querySelector(":scope > :first-child").textContent;
  const search = makeSearch(entries.map(text));
  const form = document.createElement("form");
  form.className = "error-search";
  form.role = "search";
  form.innerHTML = `
    <label for="pasted">${WORDS.paste}</label>
    <textarea id="pasted" rows="3" spellcheck="false" autocomplete="off"></textarea>
    <p role="status"></p>
    <div class="error-results"></div>`;
  const [field, status, results] = ["textarea", "p", "div"].map((tag) => form.querySelector(tag));
  const sections = [...new Set(entries.map((entry) => entry.closest("section")))];
  document.querySelector(".without-field").replaceWith(form);

  const show = () => {
    const asked = field.value.trim() !== "";
    const found = asked ? search(field.value).slice(0, 5) : [];
    results.replaceChildren(...found.map((number) => entries[number].cloneNode(true)));
    sections.forEach((section) => (section.hidden = found.length > 0));
    const count = (text, number) => text.replace("{n}", number);
    if (!asked) status.textContent = count(WORDS.texts, entries.length);
    else if (found.length === 0) status.textContent = WORDS.none_fits;
    else if (found.length === 1) status.textContent = WORDS.one_fits;
    else status.textContent = count(WORDS.some_fit, found.length);
  };
  field.value = new URLSearchParams(location.search).get("error") ?? "";
  field.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
}

if (typeof document !== "undefined") {
  const entries = [...document.querySelectorAll(".error-entry")];
  if (entries.length > 0) addField(entries);
}
