// One event, opened: what became of it and why, the payload to change and try again, and what each
// step made of it.

import { ask, badge, clock, copier, duration, el, escaped, refill, schemaName } from "../dom.js";
import { branch, changed, leaf } from "../tree.js";

// What the page says of a payload is asked for when nobody has typed for so long.
const IDLE_MS = 350;

// Sentences that are written for machines, in a person's words.
const WORDS = [
  [/^cannot be converted to java\.math\.BigDecimal\b.*/s, "a number was expected"],
  [/^cannot be converted to java\.lang\.(Integer|Long)\b.*/s, "a whole number was expected"],
  [/^(not a valid|is not in the expected) .*(UUID|uuid).*/s, "a UUID was expected"],
];

const KINDS = {
  schema_violations: "Its data does not follow its schema",
  enrichment_failures: "A value could not be used, or an enrichment failed",
  tracker_protocol_violations: "The request is not what a tracker sends",
  adapter_failures: "The request is not what this webhook sends",
  collector_payload_format_violation: "The record is not a collector's",
  size_violation: "It is too large",
  generic_error: "Something unexpected happened",
  parked: "It waits: there is no verdict yet",
};

export class Detail {
  constructor(panel, { onClose, onOpen }) {
    Object.assign(this, { panel, onClose, onOpen, number: null });
  }

  async show(number, { focus = true } = {}) {
    this.number = number;
    const loading = el("p", { class: "loading" }, "Looking into it");
    // What is there stays until the next is, unless that takes long.
    const patience = setTimeout(() => refill(this.panel, loading), 250);
    const told = await ask(`/api/events/${number}`).catch((error) => ({ error }));
    clearTimeout(patience);
    if (this.number !== number) return;
    if (told.error) {
      refill(
        this.panel,
        this.header({ event: {}, schemas: [] }),
        el("p", { class: "part" }, told.error.message),
      );
    } else {
      refill(
        this.panel,
        this.header(told),
        this.why(told),
        this.edit(told),
        this.steps(told),
        this.written(told),
      );
    }
    this.panel.scrollTop = 0;
    if (focus) this.panel.querySelector("h3")?.focus();
  }

  header({ event, schemas, sequence, index }) {
    const close = el("button", { type: "button", class: "quiet small" }, "Close");
    close.addEventListener("click", () => this.onClose());
    const fact = (name, value) =>
      value && el("span", null, `${name} `, el("span", { class: "mono" }, value));
    return el(
      "header",
      null,
      event.route && badge(event.route),
      el("h3", { tabindex: "-1" }, event.event || "An event"),
      close,
      event.number &&
        el(
          "div",
          { class: "facts" },
          fact("at", clock(event.at_ms, true)),
          fact("app", event.app),
          fact(
            "shard",
            `${event.shard.replace("shardId-", "")} / ${sequence}${index ? ` / ${index}` : ""}`,
          ),
          fact("worker", event.worker),
          fact("id", event.id),
          schemas.length > 0 &&
            el(
              "span",
              null,
              "schemas ",
              schemas.flatMap((uri, at) => [at ? ", " : "", schemaName(uri)]),
            ),
        ),
    );
  }

  // Why.

  why({ event, why, now }) {
    if (!why) return null;
    const faults = why.faults.map((fault) => this.fault(fault, event.route));
    const mended =
      now &&
      now !== why.verdict &&
      el(
        "p",
        { class: "remedy" },
        el(
          "span",
          null,
          now === "enriched"
            ? "By the schemas as they are by now it would be enriched: send it again."
            : `By the schemas as they are by now it would be: ${now.replaceAll("_", " ")}.`,
        ),
      );
    return el(
      "section",
      { class: `part why ${event.route}` },
      el("h4", null, KINDS[why.verdict] ?? why.verdict.replaceAll("_", " ")),
      faults,
      mended,
    );
  }

  fault({ schema, within, wrong, nearest }) {
    const place =
      within &&
      el("p", { class: "where" }, schema ? "found in " : "said by ", el("code", null, within));
    const use = nearest && el("button", { type: "button", class: "small" }, "Use it below");
    use?.addEventListener("click", () => this.replace(schema, nearest));
    return el(
      "div",
      { class: "fault" },
      schema &&
        el("p", { class: "of" }, schemaName(schema), el("span", { class: "soft" }, ` ${schema}`)),
      place,
      el(
        "ul",
        { class: "wrongs" },
        wrong.map((one) => this.wrong(one, schema)),
      ),
      nearest &&
        el(
          "p",
          { class: "remedy" },
          el("span", null, `Version ${nearest.split("/").at(-1)} would accept it.`),
          use,
        ),
    );
  }

  wrong({ at, expected, found, message }, schema) {
    const said =
      message && (WORDS.find(([pattern]) => pattern.test(message)) ?? [null, message])[1];
    const item = el(
      "li",
      null,
      at !== null && el("span", { class: "pointer" }, at === "" ? "the whole of it" : at),
      expected &&
        el("span", null, schema ? "the schema wants: " : "expected: ", el("code", null, expected)),
      said && el("span", null, said),
      found !== null && el("span", null, "found: ", el("code", null, found)),
    );
    if (at) {
      const show = el(
        "button",
        { type: "button", class: "quiet small", "aria-label": `Show in the payload: ${at}` },
        "Show in the payload",
      );
      show.addEventListener("click", () => this.select(at, schema));
      item.append(el("span", null, show));
    }
    return item;
  }

  // Trying again.

  edit({ event, edit }) {
    this.area = this.query = null;
    if (!edit) return null;
    const isEvent = edit.form === "event";
    const first = isEvent ? escaped(edit.text) : edit.body;
    this.form = edit.form;
    this.area = el("textarea", {
      spellcheck: "false",
      autocomplete: "off",
      "aria-label": isEvent ? "The event as it was sent" : "The body as it was sent",
    });
    this.area.value = first;
    if (!isEvent) {
      this.query = el("textarea", {
        class: "query",
        spellcheck: "false",
        "aria-label": "The query string as it was sent",
      });
      this.query.value = edit.query;
    }
    this.verdict = el("div", { class: "verdict", role: "status" });
    const send = el("button", { type: "button" }, "Send it again");
    const back = el("button", { type: "button", class: "quiet" }, "As it was");
    send.addEventListener("click", () => this.again(send));
    back.addEventListener("click", () => {
      this.area.value = first;
      if (this.query) this.query.value = edit.query;
      this.check();
    });
    let idle;
    const typed = () => {
      clearTimeout(idle);
      idle = setTimeout(() => this.check(), IDLE_MS);
    };
    this.area.addEventListener("input", typed);
    this.query?.addEventListener("input", typed);
    const failed = event.route !== "enriched";
    return el(
      "details",
      { class: "part again", open: failed },
      el("summary", null, failed ? "Change it and try again" : "Send it again, changed or not"),
      el(
        "div",
        { class: "edit" },
        el(
          "p",
          { class: "soft" },
          isEvent
            ? "The event's parameters, with the JSON in them unpacked. All else of its request stays as it was."
            : "The request's query string and body. All else of it stays as it was.",
        ),
        this.query,
        this.area,
        this.verdict,
        el(
          "div",
          { class: "doing" },
          send,
          back,
          copier("Copy", () => this.area.value),
        ),
      ),
    );
  }

  /** What stands there; what is plainly no JSON need not be asked about. */
  edited() {
    if (this.form === "event") {
      try {
        JSON.parse(this.area.value);
      } catch (error) {
        throw new Error(`this is no JSON: ${error.message}`);
      }
    }
    const edit =
      this.form === "event"
        ? { form: "event", text: this.area.value }
        : { form: "request", query: this.query.value, body: this.area.value };
    return { number: this.number, edit };
  }

  async ask(path) {
    try {
      return await ask(path, this.edited());
    } catch (error) {
      return { error };
    }
  }

  /** Says what would become of the payload as it stands there. */
  async check() {
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const told = await this.ask("/api/try");
    if (turn !== this.turn) return;
    if (told.error) return void refill(this.verdict, badge("bad"), told.error.message);
    const outcomes = told.verdicts.map((verdict, at) => {
      if (verdict === "enriched") return [badge("enriched"), "it would be enriched"];
      const first = told.why[at]?.faults[0]?.wrong[0];
      const where = first
        ? ` ${first.at || "the whole"}: ${first.expected ? `wants ${first.expected}, found ${first.found}` : first.message}`
        : "";
      return [
        badge(verdict === "parked" ? "parked" : "bad"),
        `${verdict.replaceAll("_", " ")};${where}`,
      ];
    });
    refill(this.verdict, outcomes.flat());
  }

  async again(send) {
    this.turn = (this.turn ?? 0) + 1;
    send.disabled = true;
    refill(this.verdict, "On its way through the stream");
    const told = await this.ask("/api/again");
    send.disabled = false;
    if (told.error) return void refill(this.verdict, badge("bad"), told.error.message);
    if (!told.events.length)
      return void refill(this.verdict, "It is in the stream, and no worker has come to it yet.");
    refill(
      this.verdict,
      told.events.flatMap((event) => {
        const open = el(
          "button",
          { type: "button", class: "small quiet" },
          `Open number ${event.number}`,
        );
        open.addEventListener("click", () => this.onOpen(event.number));
        return [
          badge(event.route),
          event.route === "enriched" ? "It came through." : event.gist,
          open,
        ];
      }),
    );
  }

  replace(from, to) {
    this.area.closest("details").open = true;
    this.area.value = this.area.value.replaceAll(from, to);
    this.area.focus();
    this.check();
  }

  /** Selects what a JSON pointer, or the name of a field, stands for, where it can be found. */
  select(pointer, schema) {
    if (!this.area) return;
    this.area.closest("details").open = true;
    const value = this.area.value;
    let at = schema ? Math.max(0, value.indexOf(`"${schema}"`)) : 0;
    let found = null;
    for (const step of pointer.split("/").filter(Boolean)) {
      const name = JSON.stringify(step.replaceAll("~1", "/").replaceAll("~0", "~"));
      const next = value.indexOf(`${name}:`, at);
      if (next < 0) continue;
      at = next;
      found = [next, value.indexOf("\n", next)];
    }
    this.area.focus();
    if (!found) return;
    const line = value.slice(0, found[0]).split("\n").length;
    this.area.setSelectionRange(found[0], found[1] < 0 ? value.length : found[1]);
    this.area.scrollTop = Math.max(
      0,
      (line - 4) * (this.area.scrollHeight / value.split("\n").length),
    );
  }

  // Step by step.

  steps({ account, index }) {
    const event = account?.events?.[index] ?? null;
    if (!account) return null;
    const parts = [];
    if (!event) {
      for (const step of ["payload", "adapter"]) {
        if (account[step]) parts.push(this.step(step, account[step], true));
      }
    }
    for (const [name, step] of Object.entries(event ?? {})) {
      if (name === "parameters") parts.push(this.step("sent by the tracker", step, false));
      else if (name === "fields") parts.push(this.step("fields made of it", step, false));
      else if (name !== "enrichments") parts.push(this.step(name, step, "ends" in step));
      else
        for (const [enrichment, set] of Object.entries(step))
          parts.push(this.step(enrichment, set, true));
    }
    return el(
      "details",
      { class: "part steps", open: true },
      el("summary", null, "Step by step"),
      el(
        "div",
        null,
        el(
          "p",
          { class: "soft" },
          "What each step and each enrichment set, by the rules as they are by now.",
        ),
        parts,
      ),
    );
  }

  step(name, made, open) {
    const { micros, ...set } = made ?? {};
    const members = Object.entries(set);
    const shown = members.map(([key, value]) =>
      value && typeof value === "object" && "was" in value && "is" in value
        ? changed(key, value.was, value.is)
        : branch(key, value, 1),
    );
    const took =
      micros === undefined
        ? null
        : el(
            "span",
            { class: "micros" },
            duration(micros / 1000).replace(/^0 ms$/, `${micros} µs`),
          );
    return el(
      "details",
      { class: `branch step${members.length ? "" : " idle"}`, open: open && members.length > 0 },
      el(
        "summary",
        null,
        el("span", { class: "key" }, name),
        el("span", { class: "about" }, members.length ? "" : "nothing to do"),
        took,
      ),
      el("div", { class: "inside" }, shown),
    );
  }

  // The line itself.

  written({ columns, row, line, event }) {
    const tree = columns
      ? columns.map(([name, value]) => branch(name, value, 0))
      : [branch(event.route === "parked" ? "parked record" : "bad row", row ?? line, 1)];
    return [
      el(
        "details",
        { class: "part" },
        el("summary", null, columns ? "All columns" : "As it is written"),
        el("div", null, tree),
      ),
      el(
        "details",
        { class: "part" },
        el("summary", null, "The line in the file"),
        el(
          "div",
          { class: "edit" },
          el("pre", null, line),
          el(
            "div",
            { class: "doing" },
            copier("Copy the line", () => line),
          ),
        ),
      ),
      leafless(columns),
    ];
  }
}

/** An incomplete event's columns are what came so far. */
function leafless(columns) {
  return columns && columns.length === 0
    ? el("div", { class: "part" }, leaf("columns", "none"))
    : null;
}
