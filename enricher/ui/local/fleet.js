// Workers and shards: who holds what, how far, how fast.

import { byId, duration, el, number, refill } from "../dom.js";
import { spark } from "../plot.js";

const SECONDS = 60;

export class Fleet {
  constructor() {
    this.shown = false;
    this.series = new Map();
    this.told = null;
  }

  /** What was before this page was opened. */
  hello({ shards }) {
    this.series = new Map(Object.entries(shards).map(([id, { events }]) => [id, events]));
  }

  beat(told) {
    this.told = told;
    for (const { id, events } of told.shards) {
      const series = this.series.get(id) ?? [];
      series.push(events.at(-1) ?? 0);
      this.series.set(id, series.slice(-SECONDS));
    }
    this.draw();
  }

  draw() {
    if (!this.shown || !this.told || document.hidden) return;
    const { workers, shards } = this.told;
    const names = new Map(workers.map(({ name }, at) => [name, `worker ${at + 1}`]));
    const figure = (what, value) => el("span", null, `${what} `, el("strong", null, value));
    refill(
      byId("workers"),
      el(
        "div",
        { class: "cards" },
        workers.map((worker) =>
          el(
            "article",
            { class: "sheet card" },
            el("h4", null, names.get(worker.name), el("span", { class: "soft mono" }, worker.name)),
            el(
              "div",
              { class: "figures" },
              figure("leases", number(worker.held)),
              figure("enriched", number(worker.enriched)),
              figure("bad", number(worker.bad)),
              figure("parked", number(worker.parked)),
              figure("files", number(worker.objects)),
            ),
          ),
        ),
      ),
    );
    const head = ["Shard", "Owner", "Events a second", "Lag", "Not checkpointed", "Checkpoint"];
    const owner = ({ owner, next }) => {
      if (!owner) return el("span", { class: "state parked" }, "nobody");
      return el(
        "span",
        null,
        names.get(owner) ?? owner,
        next ? ` \u2192 ${names.get(next) ?? next}` : "",
      );
    };
    refill(
      byId("shards"),
      el(
        "table",
        { class: "sheet" },
        el("caption", { class: "sr" }, "Shards and their owners"),
        el(
          "thead",
          null,
          el(
            "tr",
            null,
            head.map((name) => el("th", { scope: "col" }, name)),
          ),
        ),
        el(
          "tbody",
          null,
          shards.map((shard) =>
            el(
              "tr",
              null,
              el("th", { scope: "row" }, el("code", null, shard.id)),
              el("td", null, owner(shard)),
              el(
                "td",
                null,
                spark(this.series.get(shard.id) ?? []),
                ` ${number(shard.events.at(-1) ?? 0)}`,
              ),
              el("td", null, duration(shard.lag_ms)),
              el("td", null, number(shard.waiting)),
              el("td", null, el("code", null, shard.checkpoint)),
            ),
          ),
        ),
      ),
    );
  }
}
