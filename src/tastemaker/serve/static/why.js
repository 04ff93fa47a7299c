// "Why?": the items of somebody's history that speak for one of a list, as measured, and all that is known of it.

import { get, post } from "./api.js";
import { plainTitle } from "./cards.js";
import { $, fill, make, stamp } from "./dom.js";

const STRONGEST = 5;

/** Fill the panel of a card. */
export async function explain(panel, card, context) {
  panel.replaceChildren(make("p", "note", "Looking at what speaks for it…"));
  panel.setAttribute("aria-busy", "true");
  const told = await measured(card, context);
  const parts = told?.evidence.some((one) => one.effect > 0) ? strongest(told) : await named(card, context);
  panel.replaceChildren(...parts, ...facts(card, told));
  panel.setAttribute("aria-busy", "false");
}

/** What leaving out each item of the history does to the score; null where nothing can be measured. */
async function measured(card, context) {
  const subject = context.subject();
  if (!subject) return null;
  try {
    return await post("/v1/explanations", { ...subject, item: card.item_id });
  } catch {
    return null; // of another catalogue, or added since: the card's own evidence is what there is
  }
}

function strongest(told) {
  const found = told.evidence.filter((one) => one.effect > 0).slice(0, STRONGEST);
  const most = found[0].effect;
  return [make("p", "", told.sentence), evidence(found.map((one) => ({ ...one, share: one.effect / most })))];
}

async function named(card, context) {
  if (card.evidence.length === 0) {
    const known = context.subject() ? "No single item you know speaks for it more than others." : "Nothing is known of your taste yet. Like a few, and the reasons become yours.";
    return [make("p", "", card.reason), make("p", "note", known)];
  }
  const titles = await Promise.all(card.evidence.map((id) => titleOf(id, context)));
  return [make("p", "", card.reason), evidence(titles.map((title) => ({ title, shared: [] })))];
}

async function titleOf(id, context) {
  if (!context.titles.has(id)) {
    const card = await get(`/v1/items/${encodeURIComponent(id)}`).catch(() => ({ title: id }));
    context.titles.set(id, plainTitle(card.title));
  }
  return context.titles.get(id);
}

function evidence(found) {
  const list = make("ul", "evidence");
  list.setAttribute("aria-label", "From what you know");
  list.append(...found.map(({ title, shared, share }) => {
    const row = stamp("evidence", { ".title": plainTitle(title), ".shared": shared.length ? `shares ${shared.join(", ")}` : "" });
    if (share === undefined) $(".meter", row).remove();
    else fill(row, share, "Weight");
    return row;
  }));
  return list;
}

function facts(card, told) {
  const list = make("dl", "facts");
  const add = (name, value) => list.append(make("dt", "", name), make("dd", "", value));
  for (const [name, value] of Object.entries(card.attributes)) {
    add(name.replaceAll("_", " "), Array.isArray(value) ? value.join(", ") : String(value));
  }
  if (told) add("place", `${told.place} of ${told.rivals + 1}, among the best for you`);
  return [list];
}
