// What the browser keeps: the theme and the open pane for good, the key and the reasons as long as the tab.

function store(area) {
  return {
    get(name) {
      try { return area().getItem(`tastemaker.${name}`); } catch { return null; }
    },
    set(name, value) {
      try {
        if (value === null) area().removeItem(`tastemaker.${name}`);
        else area().setItem(`tastemaker.${name}`, value);
      } catch {
        // full, or forbidden: the page works without
      }
    },
  };
}

export const lasting = store(() => localStorage);
export const passing = store(() => sessionStorage);

/** The reasons and evidence of cards shown in a dialogue: the server keeps ids alone. */
export const reasons = {
  of(dialogue) {
    try { return JSON.parse(passing.get(`cards.${dialogue}`)) ?? {}; } catch { return {}; }
  },
  add(dialogue, cards) {
    const known = reasons.of(dialogue);
    for (const { item_id, reason, evidence, score } of cards) known[item_id] = { reason, evidence, score };
    passing.set(`cards.${dialogue}`, JSON.stringify(known));
  },
  forget(dialogue) {
    passing.set(`cards.${dialogue}`, null);
  },
};
