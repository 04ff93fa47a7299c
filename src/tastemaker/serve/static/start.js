// The first screen: who speaks, what they liked, where to look, and ideas what to say.

import { get } from "./api.js";
import { plainTitle } from "./cards.js";
import { combobox } from "./combobox.js";
import { $, announce, button, chip, make } from "./dom.js";

/** `say(text)` sends an idea. */
export function start(say) {
  const form = $("#who");
  let named = [];
  let user = null;

  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", () => {
    const known = form.elements.who.value === "known";
    $("#as-known").hidden = !known;
    $("#as-new").hidden = known;
  });
  combobox($("#titles"), titles, (option) => {
    if (!named.some((one) => one.value === option.value)) named.push(option);
    $("#titles").value = "";
    announce(`${option.label} named`);
    showNamed();
  });
  combobox($("#user"), users, (option) => choose(option), { eager: true });
  $("#user").addEventListener("input", () => choose(null));

  function choose(option) {
    user = option?.value ?? null;
    if (option) $("#user").value = option.label;
    $("#user-note").textContent = option?.note ? `Latest: ${option.note}` : "";
  }

  function showNamed() {
    $("#chosen").replaceChildren(...named.map((one) => chip(one.label, () => {
      named = named.filter((other) => other !== one);
      showNamed();
      $("#titles").focus();
    })));
  }

  return {
    /** What the first message says of who speaks. */
    who() {
      const domain = new FormData(form).get("domain");
      const where = domain ? { domain } : {};
      if (form.elements.who.value === "known") {
        const id = user ?? $("#user").value.trim();
        return id ? { ...where, user: id } : where;
      }
      return named.length ? { ...where, history: named.map((one) => one.value) } : where;
    },
    /** Ids and titles of what was named. */
    get named() {
      return named.map((one) => [one.value, one.label]);
    },
    offer({ domains, ideas }) {
      $("#domains").replaceChildren($("legend", $("#domains")), ...domains.map(domainChoice));
      $("#domains").hidden = domains.length < 2;
      $("#ideas").replaceChildren(...ideas.map((idea) => button(idea, "idea", () => say(idea))));
    },
    reset() {
      form.reset();
      named = [];
      choose(null);
      showNamed();
      form.dispatchEvent(new Event("change"));
    },
  };
}

async function titles(text, signal) {
  const { items } = await get(`/v1/items?${new URLSearchParams({ q: text, n: 8 })}`, signal);
  return items.map(({ item_id, title, attributes }) => ({
    value: item_id,
    label: plainTitle(title),
    note: typeof attributes.year === "number" ? String(attributes.year) : "",
  }));
}

async function users(text, signal) {
  const { users: found } = await get(`/v1/users?${new URLSearchParams({ q: text })}`, signal);
  return found.map(({ user_id, latest }) => ({ value: user_id, label: user_id, note: latest.map(plainTitle).join(", ") }));
}

function domainChoice(name, place) {
  const [label, input] = [make("label"), make("input")];
  Object.assign(input, { type: "radio", name: "domain", value: place ? name : "", defaultChecked: place === 0 });
  label.append(input, make("span", "", name));
  return label;
}
