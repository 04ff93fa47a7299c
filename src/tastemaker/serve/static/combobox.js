// An input that offers what goes with its text: the ARIA combobox with a list, by keyboard and pointer.

import { make } from "./dom.js";

const PAUSE = 120;

/** `find(text, signal)` gives options `{label, note, value}`; `pick(option)` takes the one chosen. */
export function combobox(input, find, pick, { eager = false } = {}) {
  const list = make("ul", "options");
  const note = make("p", "options-note");
  let options = [];
  let at = -1;
  let asked = null;
  let timer = 0;

  list.id = `${input.id}-options`;
  list.hidden = note.hidden = true;
  note.setAttribute("role", "status");
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Matches");
  const attributes = { role: "combobox", "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list" };
  for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
  input.spellcheck = false;
  input.after(list, note);

  function close() {
    clearTimeout(timer);
    asked?.abort();
    options = [];
    list.hidden = note.hidden = true;
    input.setAttribute("aria-expanded", "false");
    mark(-1);
  }

  function mark(place) {
    at = place;
    [...list.children].forEach((row, i) => row.setAttribute("aria-selected", String(i === at)));
    const row = list.children[at];
    if (row) {
      input.setAttribute("aria-activedescendant", row.id);
      row.scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function choose(option) {
    close();
    pick(option);
  }

  function show(found) {
    options = found;
    list.replaceChildren(...found.map((option, i) => {
      const row = make("li", "", "");
      row.id = `${list.id}-${i}`;
      row.setAttribute("role", "option");
      row.append(make("span", "", option.label), make("span", "note", option.note));
      row.addEventListener("pointerdown", (event) => { event.preventDefault(); choose(option); });
      return row;
    }));
    list.hidden = found.length === 0;
    note.hidden = false;
    note.className = found.length ? "hidden" : "options-note";
    note.textContent = found.length ? `${found.length} found` : "Nothing in the catalogue goes with that.";
    input.setAttribute("aria-expanded", String(found.length > 0));
    mark(-1);
    list.scrollIntoView({ block: "nearest" });
  }

  async function look() {
    const text = input.value.trim();
    if (!text && !eager) return close();
    asked?.abort();
    asked = new AbortController();
    const mine = asked;
    try {
      const found = await find(text, mine.signal);
      if (!mine.signal.aborted) show(found);
    } catch (error) {
      if (mine.signal.aborted) return;
      show([]);
      note.textContent = error.message;
    }
  }

  function later() {
    clearTimeout(timer);
    timer = setTimeout(look, PAUSE);
  }

  const keys = {
    ArrowDown: () => (options.length ? mark((at + 1) % options.length) : look()),
    ArrowUp: () => mark(at <= 0 ? options.length - 1 : at - 1),
    Enter: () => options.length && choose(options[Math.max(at, 0)]),
    Escape: () => (list.hidden && note.hidden ? undefined : close()),
  };

  input.addEventListener("input", later);
  input.addEventListener("focus", () => eager && later());
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.isComposing) return;
    if (event.key !== "Escape" || !list.hidden) event.preventDefault();
    keys[event.key]();
  });
}
