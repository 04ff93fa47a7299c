// What the list keeps to: a chip for each filter, undo, and a new list after likes and dislikes.

import { $, chip } from "./dom.js";

const number = (value) => (typeof value === "number" ? String(value) : value);

/** A filter as one reads it. */
export function words({ field, op, value }) {
  const name = field.replaceAll("_", " ");
  const values = [value].flat().map(number);
  const plain = typeof value === "number" ? `${name} ${values[0]}` : values.join(" or ");
  return {
    "is": plain,
    "is-not": `not ${plain}`,
    "at-least": `${name} from ${values[0]}`,
    "at-most": `${name} up to ${values[0]}`,
  }[op];
}

/** `drop(filters left)`, `again()` and `undo()` are called when they are asked for. */
export function wants({ drop, again, undo }) {
  $("#again").addEventListener("click", again);
  $("#undo").addEventListener("click", undo);
  return {
    show(dialogue, judged) {
      const filters = dialogue?.filters ?? [];
      $("#filters").replaceChildren(...filters.map((one) => chip(words(one), () => {
        drop(filters.filter((other) => other !== one));
      })));
      $("#filters").hidden = filters.length === 0;
      $("#again").hidden = !judged;
      $("#undo").hidden = !dialogue?.past.length;
      $("#wants").hidden = [...$("#wants").children].every((part) => part.hidden);
    },
    rest(busy) {
      for (const button of $("#wants").querySelectorAll("button")) button.disabled = busy;
    },
  };
}
