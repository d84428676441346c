"use strict";
// WORDS, from tools/labels.toml, stand in a script before this one.

// The theme calls this button Search, and what is to be read on it is more: "Search Ctrl+K".
for (const button of document.querySelectorAll(".search-button-field")) {
  button.removeAttribute("aria-label");
}

// An output that is taller than most of a screen, as long errors are on a telephone, is cut, with a
// button that shows the rest. Paper shows all of it (site.css).
function cutIfLong(output) {
  const text = output.querySelector("pre");
  if (!text || text.scrollHeight <= 0.55 * window.innerHeight) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "show-all";
  const cut = (yes) => {
    output.classList.toggle("cut", yes);
    button.setAttribute("aria-expanded", String(!yes));
    button.textContent = yes ? WORDS.show_all : WORDS.show_less;
  };
  button.addEventListener("click", () => cut(!output.classList.contains("cut")));
  output.append(button);
  cut(true);
}

// The outputs of a closed answer have no height before it is opened.
for (const output of document.querySelectorAll(".cell_output .output")) {
  const answer = output.closest("details:not([open])");
  if (answer) answer.addEventListener("toggle", () => cutIfLong(output), { once: true });
  else cutIfLong(output);
}
