/* The search field of the two indexes: paste an error or name a task, and see which entries fit.

   The search is that of helpers/errors.py, function by function. A test compares what both find.
   ENTRIES and RULES, which tools/site_extension.py takes from there, and WORDS, from
   tools/labels.toml, are in scripts before this one. */

"use strict";

const expressions = (sources) => sources.map((source) => new RegExp(source, "gm"));
const NOISE = expressions(RULES.noise);
const PHRASES = expressions(RULES.phrases);
const NAMES = expressions(RULES.names);
const [KIND] = expressions([RULES.kind]);
const FILES = new RegExp(RULES.endings, "g");
const LISTS = new RegExp(RULES.lists, "g");
const SYSTEM = new RegExp(RULES.system, "g");
const UNWORDED = new RegExp(RULES.unworded);
const NUMBERS = new RegExp(RULES.numbers, "g");
const ENDING = new RegExp(RULES.ending);
const COMMON = new Set(RULES.common);

const without = (text, expression) => text.replace(expression, " ");
const shared = (one, other) => [...one].filter((member) => other.has(member));
const total = (members, weights) => members.reduce((sum, member) => sum + weights.get(member), 0);

/** A text without the middle of long lists of names, and without its own middle if it is long. */
function shortened(text) {
  if (text.length <= RULES.longest) return text;
  const rest = text.replace(LISTS, "$1");
  const half = RULES.longest / 2;
  return rest.length <= RULES.longest ? rest : `${rest.slice(0, half)}\n${rest.slice(-half)}`;
}

/** The words of each line, and the words in names. If nothing else is left, names are words. */
function parse(text) {
  let lines, names;
  for (const leaveOut of [
    [...NOISE, ...PHRASES, ...NAMES],
    [...NOISE, ...PHRASES],
    [...NOISE.slice(0, 3), ...PHRASES],
  ]) {
    let left = text.replace(/\r/g, "");
    names = [];
    for (const expression of leaveOut) {
      if (NAMES.includes(expression)) names.push(...(left.match(expression) ?? []));
      left = without(left, expression);
    }
    lines = left.split("\n").map(words).filter((line) => line.length > 0);
    if (lines.length > 0) break;
  }
  const inNames = names.flatMap((name) => name.toLowerCase().match(/[a-z]{2,}/g) ?? []);
  return [lines, new Set(inNames)];
}

function words(line) {
  const lower = line.toLowerCase();
  const found = (lower.match(/[a-z]{2,}/g) ?? []).filter((word) => !COMMON.has(word));
  return [...found.map((word) => word.replace(ENDING, "")), ...(lower.match(NUMBERS) ?? [])];
}

/** The single words, pairs and triples of neighbouring words. */
function grams(lines) {
  const found = new Set();
  for (const line of lines) {
    for (const size of [1, 2, 3]) {
      for (let start = 0; start + size <= line.length; start++) {
        found.add(line.slice(start, start + size).join(" "));
      }
    }
  }
  return found;
}

/** A text in lower case, on one line, with one kind of quotation mark, and of file ending. */
function plain(text) {
  const quoted = text.replace(NOISE[0], "").replaceAll("`", "").replace(/[’‘"]/g, "'");
  return quoted.replace(SYSTEM, "$1").replace(FILES, ".pt").replace(/\s+/g, " ").toLowerCase().trim();
}

/** An expression for a text in which … means anything and N a number, and its length. */
function wording(text) {
  const whole = text.replace(KIND, "") || text;
  const said = NOISE.reduce((left, noise) => left.replace(noise, ""), whole).trim();
  const { length } = said.replaceAll("…", "");
  const short = length < 12; // too little to mean anything inside a longer text
  const escaped = (part) => part.trim().replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const parts = plain(short ? whole : said).split("…").map(escaped);
  while (parts.length > 1 && !parts[0]) parts.shift(); // or it begins at every position
  while (parts.length > 1 && !parts.at(-1)) parts.pop();
  const source = parts.map((part) => part.replace(/\bn\b/g, "\\d+")).join(".{0,2000}?");
  return [new RegExp(short ? `(?:^|\\s)${source}$` : source), length];
}

/** How rare each member is among the sets: 1 in one of them, and near 0 in all. */
function rarity(sets) {
  const counts = new Map();
  for (const set of sets) for (const member of set) counts.set(member, (counts.get(member) ?? 0) + 1);
  const most = Math.log(1 + sets.length);
  return new Map([...counts].map(([member, count]) => [member, 1 - Math.log(count) / most]));
}

/** A function from a text to the numbers of the entries that fit, or of the nearest ones. */
function makeSearch(entries) {
  const index = entries.map(({ texts, also, rest }) => {
    // A wording with " … " is one with its context: its words alone mean nothing.
    const alone = [...texts, ...also].filter((text) => !text.includes(" … "));
    const [lines, names] = parse(alone.join("\n").replaceAll("…", "\n"));
    const strong = grams(lines);
    const weak = new Set([...grams(parse(rest)[0])].filter((gram) => !strong.has(gram)));
    const whole = plain(texts.join(" "));
    return { strong, weak, names, whole, wordings: [...texts, ...also].map(wording) };
  });
  const weights = rarity(index.map(({ strong, weak }) => new Set([...strong, ...weak])));
  const nameWeights = rarity(index.map(({ names }) => names));

  // The share of the words of a line that an entry has as well, weighted by their rarity.
  function cover({ strong, weak }, line, least) {
    const all = new Set(line);
    const share = total(shared(all, strong), weights) + 0.4 * total(shared(all, weak), weights);
    const whole = [...all].reduce((sum, word) => sum + (weights.get(word) ?? 1), 0);
    return share / Math.max(least, whole);
  }

  return (all) => {
    const pasted = shortened(all);
    const [lines, names] = parse(pasted);
    const asked = grams(lines);
    const text = plain(pasted);
    const aboutIt = RULES.subject.some((word) => asked.has(word) || names.has(word));
    const inWords = lines.length === 1 && !UNWORDED.test(pasted);
    const bounds = aboutIt ? RULES.bounds : RULES.bounds.slice(0, 1);
    const fitting = [];
    const nearest = [];
    index.forEach((entry, number) => {
      const strong = total(shared(asked, entry.strong), weights);
      const weak = total(shared(asked, entry.weak), weights);
      const known = total(shared(names, entry.names), nameWeights);
      const score = Number((strong + 0.25 * weak + 0.3 * known).toFixed(6));
      const sizes = entry.wordings.filter(([find]) => find.test(text)).map(([, size]) => size);
      if (text.split(" ").length > 2 && entry.whole.includes(text)) sizes.push(text.length);
      const least = lines.length > 1 ? 2 : 0; // a short line of many says little
      const covered = Math.max(0, ...lines.map((line) => cover(entry, line, least)));
      if (sizes.length > 0 || bounds.some(([bound, part]) => score >= bound && covered >= part)) {
        fitting.push([score + 0.2 * Math.max(0, ...sizes), number]);
      } else if (score >= 1 && (aboutIt || (inWords && covered >= 0.55))) {
        nearest.push([score, number]);
      }
    });
    const best = (found, most) =>
      found.sort((one, other) => other[0] - one[0] || one[1] - other[1]).slice(0, most);
    const [found, fits] = fitting.length > 0 ? [fitting, true] : [nearest, false];
    const most = fits ? RULES.shown : RULES.nearest;
    return { found: best(found, most).map(([, number]) => number), fits };
  };
}

function addField(place) {
  const search = makeSearch(ENTRIES);
  const form = document.createElement("form");
  form.className = "index-search";
  form.role = "search";
  form.innerHTML = `
    <label for="pasted">${WORDS.paste}</label>
    <textarea id="pasted" rows="3" spellcheck="false" autocomplete="off"></textarea>
    <p role="status"></p>
    <div class="results"></div>`;
  const [field, status, results] = ["textarea", "p", "div"].map((tag) => form.querySelector(tag));
  const boxes = document.querySelectorAll(".entry");
  const sections = new Set([...boxes].map((entry) => entry.closest("section")));
  place.replaceWith(form);

  // If one of the other wordings fits and has a separate fix, this fix comes first.
  const ownFixFirst = (box, { also }) => {
    const text = plain(shortened(field.value));
    const lines = [...box.querySelectorAll("li")].map((item) => item.querySelector("p") ?? item);
    const wordings = lines.filter((line) => line.firstChild.nodeName === "CODE");
    wordings.forEach((line, number) => {
      if (line.childNodes.length > 1 && wording(also[number])[0].test(text)) {
        const first = document.createElement("p");
        first.innerHTML = line.innerHTML;
        box.prepend(first);
      }
    });
  };

  const show = () => {
    const asked = field.value.trim() !== "";
    const { found, fits } = asked ? search(field.value) : { found: [], fits: false };
    results.innerHTML = found.map((number) => ENTRIES[number].box).join("");
    found.forEach((number, place) => ownFixFirst(results.children[place], ENTRIES[number]));
    sections.forEach((section) => (section.hidden = found.length > 0));
    const count = (text, number) => text.replace("{n}", number);
    if (!asked) status.textContent = count(WORDS.entries, ENTRIES.length);
    else if (found.length === 0) status.textContent = WORDS.none_fits;
    else if (!fits) status.textContent = WORDS.nearest;
    else if (found.length === 1) status.textContent = WORDS.one_fits;
    else status.textContent = count(WORDS.some_fit, found.length);
  };
  field.value = new URLSearchParams(location.search).get("error") ?? "";
  field.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  show();
}

if (typeof document !== "undefined") {
  const place = document.querySelector(".without-field");
  if (place) addField(place);
}
