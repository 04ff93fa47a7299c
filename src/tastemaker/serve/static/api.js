// The server's API: JSON, streamed events, and failures with words that can be shown.

import { passing } from "./kept.js";

const PATIENCE = 5;

export class Failure extends Error {
  constructor(type, message) {
    super(message);
    this.type = type;
  }
}

let wanted = async () => null;
let asking = null;

/** `ask(wrong)` gets a key from the person, or null. */
export function whenKeyWanted(ask) {
  wanted = ask;
}

export const get = async (path, signal) => (await send("GET", path, undefined, signal)).json();
export const post = async (path, body, signal) => read(await send("POST", path, body, signal));
export const patch = async (path, body) => read(await send("PATCH", path, body));
export const remove = (path) => send("DELETE", path);

/** The events of a reply: `{name, data}`, until its last one. */
export async function* stream(path, body, signal) {
  const response = await send("POST", path, body, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) throw new Failure("cut", "The answer broke off.");
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const event = parsed(block);
        if (event?.name === "error") throw new Failure(event.data.error.type, sentence(event.data.error.message));
        if (event) yield event;
        if (event?.name === "done") return;
      }
    }
  } catch (error) {
    throw error instanceof TypeError ? new Failure("cut", "The connection broke off.") : error;
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parsed(block) {
  const lines = block.split("\n").filter((line) => !line.startsWith(":"));
  const of = (field) => lines.filter((line) => line.startsWith(`${field}:`)).map((line) => line.slice(field.length + 1));
  const data = of("data").join("\n");
  return data ? { name: of("event").join("").trim(), data: JSON.parse(data) } : null;
}

async function send(method, path, body, signal) {
  for (let tries = 1; ; tries += 1) {
    const key = passing.get("key");
    const response = await fetched(method, path, body, signal, key);
    if (response.ok) return response;
    if (response.status === 401) {
      if (await keyInsteadOf(key)) continue;
    }
    const wait = Number(response.headers.get("retry-after"));
    if (response.status === 409 && wait && tries < PATIENCE) {
      await new Promise((later) => { setTimeout(later, 400 * tries); });
      continue;
    }
    throw await failure(response);
  }
}

async function fetched(method, path, body, signal, key) {
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(path, { method, headers, signal, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure("unreachable", "The service does not answer. Is it still running?");
  }
}

/** Whether there is another key now; several requests that fail at once ask once. */
async function keyInsteadOf(refused) {
  if (passing.get("key") !== refused) return true;
  asking ??= wanted(refused !== null).finally(() => { asking = null; });
  const key = await asking;
  if (key) passing.set("key", key);
  return Boolean(key);
}

async function failure(response) {
  const told = await response.json().catch(() => ({}));
  const message = told.error?.message ?? "The service failed.";
  const wait = Number(response.headers.get("retry-after"));
  const when = response.status === 429 && wait ? ` ${wait} s are enough.` : "";
  return new Failure(told.error?.type ?? "failed", sentence(message) + when);
}

async function read(response) {
  return response.status === 204 ? null : response.json();
}

function sentence(message) {
  const text = message.charAt(0).toUpperCase() + message.slice(1);
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
