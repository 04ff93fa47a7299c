// The debug pane: what was understood, what was weighed, what the model was asked, and how long it took.

import { $, fill, make, stamp } from "./dom.js";
import { lasting } from "./kept.js";

const MOST = 50;

export function inside() {
  const [pane, toggle] = [$("#inside"), $("#inside-toggle")];

  function open(wanted) {
    pane.hidden = !wanted;
    document.body.classList.toggle("with-inside", wanted);
    toggle.setAttribute("aria-pressed", String(wanted));
    lasting.set("inside", wanted ? "open" : null);
  }

  toggle.addEventListener("click", () => open(pane.hidden));
  $("#inside-close").addEventListener("click", () => { open(false); toggle.focus(); });
  pane.addEventListener("keydown", (event) => event.key === "Escape" && $("#inside-close").click());
  open(lasting.get("inside") === "open");

  return {
    get open() {
      return !pane.hidden;
    },
    clear(note = "Ask something, and this tells how the answer came about.") {
      $("#inside-body").replaceChildren(make("p", "note", note));
    },
    show(trace, titles) {
      const parts = [section("Understood as", make("p", "intent", trace.intent)), timings(trace.milliseconds)];
      if (trace.candidates.length) parts.push(candidates(trace, titles));
      parts.push(section("Prompt", trace.prompt ? make("pre", "", trace.prompt) : make("p", "note", "No language model was asked.")));
      $("#inside-body").replaceChildren(...parts);
    },
  };
}

function section(title, ...parts) {
  const made = make("section");
  made.append(make("h3", "", title), ...parts);
  return made;
}

function timings(milliseconds) {
  const rows = Object.entries(milliseconds);
  if (rows.length === 0) return section("Time", make("p", "note", "Not measured."));
  const total = rows.reduce((sum, [, time]) => sum + time, 0);
  const list = make("ul", "evidence");
  list.append(...rows.map(([name, time]) => {
    const row = stamp("evidence", { ".title": name, ".shared": `${time.toFixed(1)} ms` });
    fill(row, total ? time / total : 0, "Share of the time");
    return row;
  }));
  return section(`Time: ${total.toFixed(0)} ms`, list);
}

function candidates({ candidates: ids, scores }, titles) {
  const table = make("table");
  const head = table.createTHead().insertRow();
  for (const name of ["", "Item", "Score"]) {
    const cell = make("th", "", name);
    cell.scope = "col";
    head.append(cell);
  }
  const body = table.createTBody();
  ids.slice(0, MOST).forEach((id, place) => {
    const row = body.insertRow();
    row.insertCell().textContent = String(place + 1);
    const name = row.insertCell();
    name.textContent = titles.get(id) ?? id;
    name.title = id;
    row.insertCell().textContent = typeof scores[place] === "number" ? scores[place].toFixed(3) : "–";
  });
  return section(`Candidates: ${ids.length}`, table);
}
