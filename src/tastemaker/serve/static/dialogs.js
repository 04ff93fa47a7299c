// The two questions the page asks in a dialog: for a key, and whether to delete.

import { $ } from "./dom.js";

/** The key somebody enters, or null. */
export async function askKey(wrong) {
  const input = $("#key");
  $("#key-note").textContent = wrong
    ? "That is not a key of this service. Look whether it is complete."
    : "This service asks for a key. It is kept in this tab only, until you close it.";
  input.value = "";
  const given = await opened($("#key-dialog"), () => input.value.trim());
  input.value = "";
  return given || null;
}

/** Whether to delete it. */
export async function askDelete(title) {
  $("#delete-what").textContent = `“${title}”, and what you said of its items, will be gone.`;
  $("#delete-no").onclick = () => $("#delete-dialog").close();
  return (await opened($("#delete-dialog"), () => true)) ?? false;
}

function opened(dialog, answer) {
  return new Promise((resolve) => {
    let given = null;
    $("form", dialog).onsubmit = (event) => {
      event.preventDefault();
      given = answer();
      dialog.close();
    };
    dialog.onclose = () => resolve(given);
    dialog.showModal();
  });
}
