// The conversation: sends what is said, shows what comes, and keeps the dialogue as the server has it.

import { get, patch, post, stream } from "./api.js";
import { enable, plainTitle, showVerdicts } from "./cards.js";
import { $, announce } from "./dom.js";
import { reasons } from "./kept.js";
import { addReply, addSaid } from "./reply.js";
import { wants } from "./wants.js";

export class Talk {
  #log = $("#log");
  #dialogue = null;
  #judged = false;
  #under = null;
  #opening = null;
  #titles = new Map();
  #wants = wants({
    drop: (left) => this.#keepFilters(left),
    again: () => this.send(""),
    undo: () => this.send("undo"),
  });

  /** `begin` is the first screen, `inside` the debug pane; `kept(id)` is called when the dialogue was saved. */
  constructor({ begin, inside, kept, trouble }) {
    Object.assign(this, { begin, inside, kept, trouble });
  }

  get id() {
    return this.#dialogue?.id ?? null;
  }

  /** Nobody has said anything yet. */
  fresh() {
    this.stop();
    this.#opening = null;
    this.#set(null);
    this.#titles.clear();
    this.#log.replaceChildren();
    this.inside.clear();
    this.#head();
    $("#start").hidden = false;
  }

  /** Go on with a dialogue. */
  async open(id) {
    this.fresh();
    $("#start").hidden = true;
    const waiting = addReply(this.#log, this.#context());
    const opening = this.#opening = {};
    const { dialogue, cards } = await get(`/v1/dialogues/${id}`).finally(() => waiting.root.remove());
    if (this.#opening !== opening) return; // another one was asked for meanwhile
    const told = reasons.of(id);
    for (const card of Object.values(cards)) this.#titles.set(card.item_id, plainTitle(card.title));
    for (const turn of dialogue.turns) {
      if (turn.role === "user" && turn.text) addSaid(this.#log, turn.text);
      if (turn.role !== "assistant") continue;
      const reply = addReply(this.#log, this.#context());
      reply.say(turn.text);
      reply.show(turn.items.filter((item) => item in cards).map((item) => ({ ...cards[item], ...told[item] })));
      reply.done({ degraded: false, dialogue });
    }
    this.#set(dialogue);
    this.#head();
    this.#log.lastElementChild?.scrollIntoView({ block: "start" });
  }

  /** Say something, or ask again without words. */
  async send(text) {
    if (this.#under) return;
    const body = { message: text, debug: this.inside.open, ...(this.id ? { dialogue_id: this.id } : this.begin.who()) };
    if (!this.id) for (const [item, title] of this.begin.named) this.#titles.set(item, title);
    $("#start").hidden = true;
    const said = text ? addSaid(this.#log, text) : null;
    const reply = addReply(this.#log, this.#context());
    (said ?? reply.root).scrollIntoView({ block: "start" });
    announce("Answering");
    this.#busy(new AbortController());
    const mine = this.#under;
    try {
      await this.#told(reply, stream("/v1/chat", body, mine.signal));
    } catch (error) {
      this.#notAnswered(error, reply, () => {
        said?.remove();
        reply.root.remove();
        return text;
      });
    } finally {
      if (this.#under === mine) this.#busy(null);
    }
  }

  /** Stop what is being answered. */
  stop() {
    this.#under?.abort();
    this.#busy(null);
  }

  async #told(reply, events) {
    let cards = [];
    for await (const { name, data } of events) {
      if (name === "token") reply.say(data.text);
      if (name === "items") reply.show(cards = data.cards);
      if (name === "done") this.#finished(reply, cards, data);
    }
  }

  #finished(reply, cards, { dialogue, degraded, trace }) {
    this.#set(dialogue);
    reasons.add(dialogue.id, cards);
    reply.done({ degraded, dialogue });
    enable(this.#log);
    showVerdicts(this.#log, dialogue);
    if (trace) this.inside.show(trace, this.#titles);
    else this.inside.clear();
    this.#head();
    announce(`${reply.text} ${cards.map((card, i) => `${i + 1}: ${plainTitle(card.title)}`).join(". ")}`);
    this.kept(dialogue.id);
  }

  #notAnswered(error, reply, takeBack) {
    if (!reply.root.isConnected) return;
    const again = () => this.send(takeBack());
    if (error.name === "AbortError") {
      reply.stopped(again);
      announce("Stopped");
      return;
    }
    const back = () => {
      $("#say").value = takeBack();
      $("#start").hidden = false;
      $("#say").focus();
    };
    reply.failed(error, again, this.id ? null : back);
    announce(error.message);
  }

  async #judge(item, verdict) {
    try {
      await post("/v1/feedback", { dialogue_id: this.id, item, verdict });
    } catch (failure) {
      this.trouble(failure.message);
      return;
    }
    const without = (list) => list.filter((one) => one !== item);
    const { likes, dislikes } = this.#dialogue;
    this.#dialogue.likes = verdict === "like" ? [...without(likes), item] : without(likes);
    this.#dialogue.dislikes = verdict === "dislike" ? [...without(dislikes), item] : without(dislikes);
    this.#judged = true;
    showVerdicts(this.#log, this.#dialogue);
    this.#wants.show(this.#dialogue, true);
    const told = { like: "Liked", dislike: "Not for you", none: "Taken back" }[verdict];
    announce(`${told}: ${this.#titles.get(item)}. It counts from the next answer on.`);
  }

  async #keepFilters(filters) {
    $("#say").focus();
    try {
      const { dialogue } = await patch(`/v1/dialogues/${this.id}`, { filters });
      this.#set(dialogue);
    } catch (failure) {
      this.trouble(failure.message);
      return;
    }
    await this.send("");
  }

  #context() {
    return {
      titles: this.#titles,
      judge: (item, verdict) => this.#judge(item, verdict),
      subject: () => this.#subject(),
    };
  }

  /** Who is asked for, where something is known of them. */
  #subject() {
    if (!this.#dialogue) return null;
    const { user_id: user, history, likes } = this.#dialogue;
    if (user) return { user };
    const known = [...new Set([...history, ...likes])];
    return known.length ? { history: known } : null;
  }

  #set(dialogue) {
    this.#dialogue = dialogue;
    this.#judged = false;
    this.#wants.show(dialogue, this.#judged);
  }

  #head() {
    const first = this.#dialogue?.turns.find((turn) => turn.role === "user" && turn.text)?.text;
    $("#where").textContent = first ?? "New conversation";
    document.title = first ? `${first.slice(0, 60)} · tastemaker` : "tastemaker";
    $("#whom").textContent = this.#dialogue ? this.#whom() : "";
  }

  #whom() {
    const { user_id: user, history, domain } = this.#dialogue;
    const liked = history.slice(0, 3).map((item) => this.#titles.get(item) ?? item);
    const more = history.length > liked.length ? ` and ${history.length - liked.length} more` : "";
    const who = user ? `As user ${user}` : liked.length ? `Liked ${liked.join(", ")}${more}` : "New here";
    return domain ? `${who} · in ${domain}` : who;
  }

  #busy(under) {
    this.#under = under;
    $("#send").hidden = Boolean(under);
    $("#stop").hidden = !under;
    this.#wants.rest(Boolean(under));
  }
}
