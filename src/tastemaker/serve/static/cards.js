// An item's card: what the catalogue says of it, why it is there, and what somebody thinks of it.

import { $, stamp } from "./dom.js";
import { explain } from "./why.js";

const YEARS = ["year", "release_year", "published", "publication_year"];
let made = 0;

/** `Usual Suspects, The (1995)` as people say it: without its year, its article in front. */
export function plainTitle(title) {
  const named = title.replace(/ ?\(\d{4}\)$/, "") || title;
  const [, rest, article, other] = /^(.+?), (The|An|A)( \(.*\))?$/.exec(named) ?? [];
  return article ? `${article} ${rest}${other ?? ""}` : named;
}

export function cardOf(card, context) {
  const name = plainTitle(card.title);
  const texts = { ".title": name, ".year": yearOf(card), ".kinds": kindsOf(card), ".reason": card.reason, legend: name };
  const row = stamp("card", texts);
  row.dataset.item = card.item_id;
  context.titles.set(card.item_id, name);
  for (const part of [".year", ".kinds", ".reason"]) $(part, row).hidden = !texts[part];
  for (const verdict of ["like", "dislike"]) {
    const button = $(`.${verdict}`, row);
    button.addEventListener("click", () => {
      const pressed = button.getAttribute("aria-pressed") === "true";
      context.judge(card.item_id, pressed ? "none" : verdict);
    });
  }
  foldedWhy(row, card, context);
  return row;
}

/** Show on all cards what was said of their items. */
export function showVerdicts(root, { likes, dislikes }) {
  for (const row of root.querySelectorAll(".card")) {
    $(".like", row).setAttribute("aria-pressed", String(likes.includes(row.dataset.item)));
    $(".dislike", row).setAttribute("aria-pressed", String(dislikes.includes(row.dataset.item)));
  }
}

/** Let the cards be judged: there is a dialogue that keeps it. */
export function enable(root) {
  for (const actions of root.querySelectorAll(".actions")) actions.disabled = false;
}

function foldedWhy(row, card, context) {
  const [button, panel] = [$(".why", row), $(".because", row)];
  made += 1;
  panel.id = `because-${made}`;
  button.setAttribute("aria-controls", panel.id);
  button.addEventListener("click", () => {
    panel.hidden = !panel.hidden;
    button.setAttribute("aria-expanded", String(!panel.hidden));
    if (!panel.hidden) explain(panel, card, context);
  });
}

function yearOf({ attributes }) {
  const name = YEARS.find((one) => typeof attributes[one] === "number");
  return name ? String(attributes[name]) : "";
}

function kindsOf({ attributes }) {
  const many = Object.values(attributes).find(Array.isArray) ?? [];
  return many.slice(0, 4).join(" · ");
}
