// A text area with the numbers of its lines. Tab leaves it, as it leaves every field.

import { el, refill } from "./dom.js";

export class Editor {
  /** In an element; `onRun` is called when Ctrl or Cmd and Enter are pressed. */
  constructor(place, onRun) {
    this.numbers = el("pre", { class: "numbers", "aria-hidden": "true" }, "1");
    this.area = el("textarea", {
      id: "sql",
      "aria-label": "SQL",
      "aria-describedby": "wrong",
      spellcheck: "false",
      autocapitalize: "off",
      autocomplete: "off",
      wrap: "off",
    });
    this.bad = null;
    place.append(el("div", { class: "editor" }, this.numbers, this.area));
    this.area.addEventListener("input", () => this.changed());
    this.area.addEventListener("scroll", () => this.follow());
    this.area.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      onRun();
    });
    new ResizeObserver(() => this.follow()).observe(this.area);
    this.changed();
  }

  get text() {
    return this.area.value;
  }

  set text(text) {
    this.area.value = text;
    this.changed();
  }

  changed() {
    this.bad = null;
    this.draw();
  }

  draw() {
    const count = this.text.split("\n").length;
    const lines = Array.from({ length: count }, (_, at) => at + 1);
    const shown = lines.map((line) => [
      line === this.bad ? el("span", { class: "bad" }, `\u25b6${line}`) : String(line),
      "\n",
    ]);
    refill(this.numbers, shown.flat());
    this.follow();
  }

  follow() {
    this.numbers.style.height = `${this.area.clientHeight}px`;
    this.numbers.scrollTop = this.area.scrollTop;
  }

  /** Marks a line, and puts the cursor where something is wrong. */
  mark({ line, column }) {
    if (!line) return;
    const before = this.text.split("\n").slice(0, line - 1);
    const at = before.reduce((sum, text) => sum + text.length + 1, 0) + (column ?? 1) - 1;
    this.bad = line;
    this.draw();
    this.area.setSelectionRange(at, at);
  }

  /** Puts a text where the cursor is. */
  insert(text) {
    this.area.focus();
    const { selectionStart: from, selectionEnd: to } = this.area;
    this.area.setRangeText(text, from, to, "end");
    this.changed();
  }
}
