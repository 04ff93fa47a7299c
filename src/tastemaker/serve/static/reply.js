// One reply as it comes: words, then cards, then what became of it.

import { cardOf, enable, showVerdicts } from "./cards.js";
import { $, button, stamp } from "./dom.js";

/** What somebody said, in the log. */
export function addSaid(log, text) {
  const said = stamp("said", { p: text });
  log.append(said);
  return said;
}

/** A reply in the log, empty until it is told something. */
export function addReply(log, context) {
  const root = stamp("reply");
  const words = $(".words", root);
  const waiting = $(".waiting", root);
  root.setAttribute("aria-busy", "true");
  log.append(root);

  function end(note, ...buttons) {
    root.setAttribute("aria-busy", "false");
    waiting.hidden = true;
    $(".aside", root).textContent = note;
    $(".aside", root).hidden = !note;
    $(".after", root).replaceChildren(...buttons);
    $(".after", root).hidden = buttons.length === 0;
  }

  return {
    root,
    get text() {
      return words.textContent;
    },
    say(text) {
      words.textContent += text;
    },
    show(cards) {
      const rows = cards.map((card) => cardOf(card, context));
      $(".cards", root).replaceChildren(...rows);
      root.classList.toggle("single", cards.length === 1);
      // A reason that the reply has just told need not be read twice.
      rows.forEach((row, i) => { $(".reason", row).hidden ||= words.textContent.includes(cards[i].reason); });
    },
    done({ degraded, dialogue }) {
      end(degraded ? "The language model was not there for this answer; rules and the recommender gave it alone." : "");
      enable(root);
      showVerdicts(root, dialogue);
    },
    stopped(again) {
      end("Stopped. What was not finished is not remembered.", button("Ask again", "quiet", again));
    },
    failed(failure, again, back) {
      root.classList.add("failed");
      const buttons = [button("Try again", "quiet", again)];
      if (back) buttons.push(button("Back to the start", "quiet", back));
      end(failure.message, ...buttons);
    },
  };
}
