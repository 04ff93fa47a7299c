// The list of conversations, and the drawer that it is in on a phone.

import { get, remove } from "./api.js";
import { askDelete } from "./dialogs.js";
import { $, announce, stamp } from "./dom.js";
import { reasons } from "./kept.js";

const UNITS = [["day", 86_400_000], ["hour", 3_600_000], ["minute", 60_000]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** `gone(id)` is called when one was deleted, `trouble(message)` when it was not. */
export function sidebar(gone, trouble) {
  const list = $("#dialogues");
  let [current, asked] = [null, 0];
  drawer();

  async function refresh() {
    const mine = ++asked;
    const { dialogues } = await get("/v1/dialogues");
    if (mine !== asked) return; // one that was asked for later knows more
    const [held, part] = focused();
    list.replaceChildren(...dialogues.map(row));
    $("#dialogues-note").hidden = dialogues.length > 0;
    mark(current);
    if (held) $(`li:has([data-id="${held}"]) ${part}`, list)?.focus({ preventScroll: true });
  }

  /** The conversation whose row has the focus, and which part of it. */
  function focused() {
    const held = document.activeElement?.closest("#dialogues li");
    return held ? [$("a", held).dataset.id, document.activeElement.localName] : [];
  }

  function row({ id, title, used }) {
    const name = title || "Without words";
    const made = stamp("dialogue", { ".name": name, ".when": since(used) });
    $("a", made).href = `#/${id}`;
    $("a", made).dataset.id = id;
    $("button", made).setAttribute("aria-label", `Delete ${name}`);
    $("button", made).addEventListener("click", () => discard(id, name));
    return made;
  }

  async function discard(id, name) {
    if (!(await askDelete(name))) return;
    try {
      await remove(`/v1/dialogues/${id}`);
    } catch (failure) {
      if (failure.type !== "not_found") return trouble(`${name} was not deleted. ${failure.message}`);
    }
    reasons.forget(id);
    await refresh();
    announce(`Deleted ${name}`);
    ($("a", list) ?? $("#new")).focus();
    gone(id);
  }

  function mark(id) {
    current = id;
    for (const link of list.querySelectorAll("a")) {
      if (link.dataset.id === id) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  return { refresh, mark };
}

function drawer() {
  const [opener, side] = [$("#side-open"), $("#side")];
  const set = (open) => {
    document.body.classList.toggle("side-open", open);
    opener.setAttribute("aria-expanded", String(open));
  };
  const close = () => {
    const was = opener.getAttribute("aria-expanded") === "true";
    set(false);
    if (was) opener.focus();
  };
  opener.addEventListener("click", () => { set(true); $("#side-close").focus(); });
  for (const one of [$("#side-close"), $("#backdrop")]) one.addEventListener("click", close);
  side.addEventListener("keydown", (event) => event.key === "Escape" && close());
  side.addEventListener("click", (event) => event.target.closest("a") && set(false));
}

function since(time) {
  const ago = Date.now() - time;
  const [unit, size] = UNITS.find(([, length]) => ago >= length) ?? [];
  return unit ? relative.format(-Math.floor(ago / size), unit) : "just now";
}
