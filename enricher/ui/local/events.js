// The list of events: the newest that the filters let through, and the one that is open.

import { ask, badge, byId, clock, el, number, refill } from "../dom.js";
import { Detail } from "./detail.js";

const PAGE = 60;

// More rows than this are not kept below each other while new ones come.
const MOST = 600;

// New events are fetched at most so often, so that a busy stream stays readable.
const PAUSE_MS = 1000;

// A search begins when nobody has typed for so long.
const TYPING_MS = 50;

const FIELDS = ["text", "app", "event", "schema"];

export class Events {
  constructor({ onCount }) {
    this.onCount = onCount;
    this.routes = new Set();
    this.rows = [];
    this.newest = 0;
    this.shownUntil = 0;
    this.paused = false;
    this.asked = 0;
    this.detail = new Detail(byId("detail"), {
      onClose: () => this.close(),
      onOpen: (number) => this.open(number),
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    let typing;
    byId("text").addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => this.filtered(), TYPING_MS);
    });
    for (const id of FIELDS.slice(1)) {
      byId(id).addEventListener("change", () => this.filtered());
      // What can be chosen changes; it is asked for when somebody is about to choose.
      byId(id).addEventListener("focus", () => this.choices());
      byId(id).addEventListener("pointerenter", () => this.choices());
    }
    byId("clear").addEventListener("click", () => this.clear());
    byId("pause").addEventListener("click", () => this.pause());
    byId("older").addEventListener("click", () => this.older());
    byId("fresh").addEventListener("click", () => this.refresh());
    const rows = byId("rows");
    rows.addEventListener("click", (event) => {
      const row = event.target.closest("tr");
      if (row) this.open(Number(row.dataset.number));
    });
    rows.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      this.move(step);
    });
  }

  // What the address says.

  restore(query) {
    const before = this.query().toString();
    for (const id of FIELDS) {
      const wanted = query.get(id) ?? "";
      const field = byId(id);
      if (
        field.tagName === "SELECT" &&
        wanted &&
        ![...field.options].some(({ value }) => value === wanted)
      ) {
        field.append(el("option", { value: wanted }, wanted));
      }
      field.value = wanted;
    }
    this.routes = new Set((query.get("routes") ?? "").split(",").filter(Boolean));
    if (this.query().toString() !== before || this.rows.length === 0) this.refresh();
    const open = Number(query.get("open"));
    if (open && open !== this.detail.number) this.show(open);
    if (!open && this.isOpen()) this.hide();
  }

  query() {
    const query = new URLSearchParams();
    for (const id of FIELDS) if (byId(id).value) query.set(id, byId(id).value);
    if (this.routes.size) query.set("routes", [...this.routes].join(","));
    return query;
  }

  remember(open = this.detail.number) {
    const query = this.query();
    if (open) query.set("open", open);
    history.replaceState(null, "", query.size ? `#/events?${query}` : "#/events");
  }

  // Filters.

  filtered() {
    this.remember();
    this.refresh();
  }

  toggleRoute(route) {
    if (!this.routes.delete(route)) this.routes.add(route);
    this.onCount();
    this.filtered();
  }

  clear() {
    for (const id of FIELDS) byId(id).value = "";
    this.routes.clear();
    this.onCount();
    this.filtered();
  }

  async choices() {
    if (performance.now() - (this.chosenAt ?? -Infinity) < 2000) return;
    this.chosenAt = performance.now();
    const choices = await ask("/api/choices").catch(() => null);
    if (!choices) return;
    const names = { app: "apps", event: "events", schema: "schemas" };
    for (const [id, key] of Object.entries(names)) this.offer(byId(id), choices[key]);
  }

  offer(select, choices) {
    const all = { app: "All applications", event: "All events", schema: "All schemas" }[select.id];
    const value = select.value;
    const known = choices.some(([name]) => name === value);
    const option = ([name, count]) =>
      el("option", { value: name }, `${name.replace(/^iglu:/, "")} (${number(count)})`);
    refill(
      select,
      el("option", { value: "" }, all),
      value && !known ? el("option", { value }, value) : null,
      choices.map(option),
    );
    select.value = value;
  }

  // What is shown.

  hello({ newest }) {
    this.newest = newest;
    this.refresh();
    this.choices();
  }

  news({ newest, kept }) {
    this.newest = newest;
    // Somebody had everything forgotten.
    if (kept === 0) return void this.refresh();
    if (this.paused || document.hidden || byId("events").hidden) return this.told();
    if (this.waiting) return;
    const since = performance.now() - this.asked;
    this.waiting = setTimeout(
      () => {
        this.waiting = null;
        this.more();
      },
      Math.max(0, PAUSE_MS - since),
    );
  }

  wake() {
    if (!document.hidden && !this.paused && this.newest > this.shownUntil) this.more();
  }

  async fetch(page) {
    const query = this.query();
    for (const [name, value] of Object.entries(page)) query.set(name, value);
    this.asked = performance.now();
    return ask(`/api/events?${query}`);
  }

  async refresh() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const told = await this.fetch({ most: PAGE }).catch((error) => ({ error }));
    if (turn !== this.turn) return; // Somebody has typed on.
    if (told.error) return void (byId("listed").textContent = told.error.message);
    this.rows = told.events;
    this.shownUntil = told.newest;
    this.kept = told.kept;
    this.anew();
    byId("older").hidden = told.events.length < PAGE;
    this.told();
  }

  /** Shows other rows; who had come to one by keyboard stays there, or begins above. */
  anew() {
    const rows = byId("rows");
    const focused = document.activeElement?.closest?.("#rows tr")?.dataset.number;
    refill(
      rows,
      this.rows.map((row) => this.row(row)),
    );
    if (!focused) return;
    const row = rows.querySelector(`tr[data-number="${focused}"]`) ?? rows;
    row.querySelector("button")?.focus({ preventScroll: true });
  }

  async more() {
    const turn = this.turn;
    const told = await this.fetch({ after: this.shownUntil, most: PAGE }).catch(() => null);
    if (!told || turn !== this.turn) return;
    this.shownUntil = told.newest;
    this.kept = told.kept;
    if (told.events.length === PAGE) {
      // More than fit came: what is in between can be asked for, the list begins anew.
      this.rows = told.events;
      this.anew();
      byId("older").hidden = false;
    } else if (told.events.length) {
      this.rows = [...told.events, ...this.rows].slice(0, MOST);
      byId("rows").prepend(...told.events.map((row) => this.row(row)));
      while (byId("rows").childElementCount > MOST) {
        byId("rows").lastElementChild.remove();
        byId("older").hidden = false;
      }
    }
    this.told();
  }

  async older() {
    const before = this.rows.at(-1)?.number;
    const told = await this.fetch({ before, most: PAGE }).catch(() => null);
    if (!told) return;
    const first = this.rows.length;
    this.rows.push(...told.events);
    byId("rows").append(...told.events.map((row) => this.row(row)));
    byId("older").hidden = told.events.length < PAGE;
    byId("rows").children[first]?.querySelector("button")?.focus();
    this.told();
  }

  row({ number: n, route, event, gist, app, at_ms: at }) {
    return el(
      "tr",
      { class: `is${route}${n === this.detail.number ? " chosen" : ""}`, "data-number": n },
      el("td", null, badge(route)),
      el(
        "td",
        null,
        el(
          "div",
          { class: "what" },
          el("button", { type: "button" }, event || "unknown"),
          el("span", { class: "gist" }, gist),
        ),
      ),
      el("td", null, app),
      el("td", null, el("time", { datetime: new Date(at).toISOString() }, clock(at))),
    );
  }

  told() {
    const filters = this.query().size > 0;
    const all = this.kept ?? 0;
    const more = byId("older").hidden ? "" : "the newest ";
    const behind = this.newest - this.shownUntil;
    byId("listed").textContent = filters
      ? `${more}${number(this.rows.length)} events of this kind, ${number(all)} kept`
      : `${more}${number(this.rows.length)} of ${number(all)} kept events`;
    byId("fresh").hidden = !(this.paused && behind > 0);
    byId("fresh").textContent = `${number(behind)} new`;
    const nothing = byId("nothing");
    nothing.hidden = this.rows.length > 0;
    if (this.rows.length) return;
    const waiting = !filters && this.newest === 0;
    if (nothing.dataset.kind === String(waiting)) return;
    nothing.dataset.kind = waiting;
    refill(
      nothing,
      el("h3", null, waiting ? "Waiting for the first event" : "No such event"),
      waiting
        ? el(
            "p",
            null,
            "Point a tracker at ",
            el("code", null, location.origin),
            ", and it shows here at once.",
          )
        : el("p", null, "Nothing that is kept fits these filters; what comes and fits is shown."),
      waiting ? el("p", null, el("a", { href: "#/start" }, "Send one from here")) : null,
    );
  }

  pause() {
    this.paused = !this.paused;
    byId("pause").setAttribute("aria-pressed", String(this.paused));
    byId("pause").textContent = this.paused ? "Go on" : "Pause";
    this.reading = false;
    if (this.paused) this.told();
    else this.refresh();
  }

  // The open event.

  isOpen() {
    return !byId("detail").hidden;
  }

  /** Moves to another row, and shows it if one is open. */
  move(step) {
    const rows = [...byId("rows").children];
    if (!rows.length) return;
    const focused = rows.indexOf(document.activeElement?.closest?.("tr"));
    const from = focused >= 0 ? focused : rows.findIndex((row) => row.classList.contains("chosen"));
    const row = rows[Math.min(Math.max(from + step, 0), rows.length - 1)];
    row.querySelector("button").focus();
    row.scrollIntoView({ block: "nearest" });
    if (this.isOpen()) this.show(Number(row.dataset.number), { focus: false });
  }

  open(number) {
    // What one reads should stay where it is, until one has read it.
    if (!this.paused) {
      this.pause();
      this.reading = true;
    }
    this.show(number);
  }

  show(number, options) {
    byId("detail").hidden = false;
    this.wide(true);
    this.detail.show(number, options);
    this.choose(number);
    this.remember(number);
  }

  wide(open) {
    for (const element of [byId("events"), document.querySelector(".split")])
      element.classList.toggle("open", open);
  }

  choose(number) {
    for (const row of byId("rows").children)
      row.classList.toggle("chosen", Number(row.dataset.number) === number);
  }

  hide() {
    byId("detail").hidden = true;
    this.wide(false);
    this.detail.number = null;
  }

  close() {
    const number = this.detail.number;
    this.hide();
    this.choose(null);
    this.remember(null);
    const row = byId("rows").querySelector(`tr[data-number="${number}"] button`);
    (row ?? byId("rows").querySelector("button") ?? byId("text")).focus();
    if (this.reading) this.pause();
  }
}
