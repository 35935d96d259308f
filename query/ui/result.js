// An answer as a table, some rows at a time.

import { el, number, refill } from "./dom.js";

// So many rows are shown at a time: the browser stays quick.
const PART = 200;

// Longer values are cut until somebody wants all of them.
const LONG = 300;

function cell(value, { kind }) {
  if (value === null) return el("td", { class: "null" }, "null");
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  const looks = { number: "figure", nested: "nested", time: "time" }[kind];
  const shown = el("td", { class: looks }, text.slice(0, LONG));
  if (text.length <= LONG) return shown;
  const more = el("button", { type: "button", class: "quiet small" }, `all ${text.length}`);
  more.addEventListener("click", () => refill(shown, text));
  shown.append(" ", more);
  return shown;
}

export class Result {
  constructor(place) {
    this.place = place;
    this.clear();
  }

  clear() {
    this.columns = [];
    this.rows = [];
    this.shown = 0;
    refill(this.place);
  }

  /** Begins an answer with these columns. */
  begin(columns) {
    this.clear();
    this.columns = columns;
    this.body = el("tbody");
    const head = columns.map(({ name, type, kind }) =>
      el(
        "th",
        { scope: "col", class: kind === "number" && "figure" },
        name,
        el("span", { class: "type" }, type),
      ),
    );
    this.more = el("button", { type: "button", class: "quiet small more", hidden: true });
    this.more.addEventListener("click", () => this.part());
    const table = el(
      "table",
      null,
      el("caption", { class: "sr" }, "The answer"),
      el("thead", null, el("tr", null, head)),
      this.body,
    );
    const box = { class: "rows", role: "region", "aria-label": "Rows of the answer", tabindex: "0" };
    refill(this.place, el("div", box, table), this.more);
  }

  /** Rows that have come. */
  add(rows) {
    this.rows.push(...rows);
    if (this.shown < PART) this.part(PART - this.shown);
    else this.tell();
  }

  part(most = PART) {
    const next = this.rows.slice(this.shown, this.shown + most);
    this.shown += next.length;
    this.body.append(
      ...next.map((row) => el("tr", null, row.map((value, at) => cell(value, this.columns[at])))),
    );
    this.tell();
  }

  tell() {
    const left = this.rows.length - this.shown;
    this.more.hidden = left === 0;
    this.more.textContent = `Show ${number(Math.min(left, PART))} more of ${number(left)}`;
  }
}
