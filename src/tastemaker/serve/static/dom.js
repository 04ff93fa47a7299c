// Small helpers around the document. Data becomes text, never markup.

export const $ = (selector, root = document) => root.querySelector(selector);

/** A copy of the template of that name, with texts put where the selectors say. */
export function stamp(name, texts = {}) {
  const made = $(`#t-${name}`).content.firstElementChild.cloneNode(true);
  for (const [selector, text] of Object.entries(texts)) $(selector, made).textContent = text;
  return made;
}

/** An element with a class and a text. */
export function make(tag, className = "", text = "") {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

/** A button that does something. */
export function button(text, className, act) {
  const made = make("button", className, text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

/** Tell those who listen to the page. */
export function announce(text) {
  const status = $("#status");
  status.textContent = "";
  setTimeout(() => { status.textContent = text; }, 30);
}

/** Fill the meter in `root` to a share of 0 to 1. */
export function fill(root, share, label) {
  const meter = $(".meter", root);
  const percent = Math.round(100 * share);
  meter.setAttribute("aria-label", label);
  meter.setAttribute("aria-valuenow", String(percent));
  meter.firstElementChild.style.width = `${percent}%`;
}

/** A chip with words and a way to take it away. */
export function chip(words, remove) {
  const made = stamp("chip", { ".words": words });
  $("button", made).addEventListener("click", remove);
  return made;
}
