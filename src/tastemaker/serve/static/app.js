// The page, put together: the address says which conversation is open.

import { get, whenKeyWanted } from "./api.js";
import { askKey } from "./dialogs.js";
import { $ } from "./dom.js";
import { inside } from "./inside.js";
import { lasting, passing } from "./kept.js";
import { sidebar } from "./sidebar.js";
import { start } from "./start.js";
import { Talk } from "./talk.js";

const THEMES = ["automatic", "light", "dark"];
const opened = () => /^#\/([0-9a-f]{32})$/.exec(location.hash)?.[1] ?? null;

const begin = start((text) => talk.send(text));
const side = sidebar((id) => id === opened() && go("#/"), trouble);
const talk = new Talk({ begin, inside: inside(), trouble, kept });

function go(address) {
  if (location.hash === address) route();
  else location.hash = address;
}

/** Show the conversation of the address. */
async function route() {
  const id = opened();
  trouble("");
  side.mark(id);
  if (id === null) {
    begin.reset();
    talk.fresh();
    $("#say").focus({ preventScroll: true });
    return;
  }
  try {
    await talk.open(id);
  } catch (failure) {
    if (failure.type !== "not_found") throw failure;
    history.replaceState(null, "", "#/");
    await route();
    trouble("That conversation is not there any more.");
  }
}

async function kept(id) {
  if (opened() !== id) history.replaceState(null, "", `#/${id}`);
  side.mark(id);
  $("#key-forget").hidden = passing.get("key") === null;
  await side.refresh().catch((failure) => trouble(`The list of conversations is not up to date. ${failure.message}`));
}

/** Say what is wrong above all else; nothing takes it away. With `again` it can be tried once more. */
function trouble(message, again = null) {
  const box = $("#trouble");
  $("p", box).textContent = message;
  $("button", box).hidden = again === null;
  $("button", box).onclick = again;
  box.hidden = message === "";
}

async function begun() {
  try {
    begin.offer(await get("/v1/about"));
    $("#key-forget").hidden = passing.get("key") === null;
    trouble("");
    await Promise.all([side.refresh(), opened() === talk.id ? undefined : route()]);
  } catch (failure) {
    trouble(failure.message, begun);
  }
}

function composer() {
  const [form, say] = [$("#composer"), $("#say")];
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = say.value.trim();
    if (!text || !$("#stop").hidden) return;
    say.value = "";
    talk.send(text);
  });
  say.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  const stop = () => { talk.stop(); say.focus(); };
  $("#stop").addEventListener("click", stop);
  form.addEventListener("keydown", (event) => event.key === "Escape" && !$("#stop").hidden && stop());
}

function theme() {
  const shown = (name) => {
    $("#theme span").textContent = `Theme: ${name}`;
    if (name === "automatic") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
  };
  shown(lasting.get("theme") ?? "automatic");
  $("#theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(lasting.get("theme") ?? "automatic") + 1) % THEMES.length];
    lasting.set("theme", next === "automatic" ? null : next);
    shown(next);
  });
}

$("#key-forget").addEventListener("click", () => {
  passing.set("key", null);
  location.reload();
});
$(".skip").addEventListener("click", (event) => { event.preventDefault(); $("#say").focus(); });
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href="#/"]');
  if (!link) return;
  event.preventDefault();
  go("#/");
});
addEventListener("hashchange", () => route().catch((failure) => trouble(failure.message, begun)));
whenKeyWanted(askKey);
composer();
theme();
talk.fresh();
begun();
