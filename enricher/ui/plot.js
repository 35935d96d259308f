// A plot of some minutes, a point for each second: areas on top of each other, or lines. It says in
// words what it shows, and can be looked at as a table.

import { clock, el, refill, svg } from "./dom.js";

const HEIGHT = 96;
const TABLE_ROWS = 60;

/** A round number not below a value, so that the scale does not tremble. */
function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= value);
}

export class Plot {
  /**
   * In a figure; `series` are `{key, name, kind}` of what `points` hold, `kind` also being a
   * colour's; stacked or not; `format` writes a value, `summary` all of it in words.
   */
  constructor(figure, { title, series, stacked, format, summary, seconds = 300 }) {
    Object.assign(this, { series, stacked, format, summary, seconds, points: [] });
    this.drawing = svg("svg", { class: "plot", role: "img", preserveAspectRatio: "none" });
    this.words = el("span", { class: "now" });
    this.top = el("span", { class: "scale", "aria-hidden": "true" });
    this.table = el("table", { hidden: true });
    const asTable = el(
      "button",
      { type: "button", class: "quiet small", "aria-pressed": "false" },
      "Table",
    );
    asTable.addEventListener("click", () => {
      const shown = this.table.toggleAttribute("hidden") === false;
      this.drawing.toggleAttribute("hidden", shown);
      asTable.setAttribute("aria-pressed", String(shown));
      this.draw();
    });
    this.box = el("div", { class: "plot-box" }, this.drawing, this.top, this.table);
    figure.append(
      el("figcaption", null, el("span", { class: "title" }, title), this.words, asTable),
      this.box,
    );
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  /** Other points, the newest last. */
  set(points) {
    this.points = points.slice(-this.seconds);
    this.draw();
  }

  draw() {
    const { points, seconds } = this;
    const words = this.summary(points);
    this.words.textContent = words;
    this.drawing.setAttribute("aria-label", words);
    if (!this.table.hidden) this.tabulate();
    if (this.drawing.hasAttribute("hidden")) return;
    const width = Math.max(80, Math.round(this.box.clientWidth));
    const sum = (point) => this.series.reduce((all, { key }) => all + (point[key] ?? 0), 0);
    const most = (point) => Math.max(...this.series.map(({ key }) => point[key] ?? 0));
    const high = ceiling(Math.max(0, ...points.map(this.stacked ? sum : most)));
    this.top.textContent = this.format(high);
    const x = (at) => (((seconds - points.length + at) / (seconds - 1)) * width).toFixed(1);
    const y = (value) => (HEIGHT - 1 - (value / high) * (HEIGHT - 8)).toFixed(1);
    this.drawing.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    const below = points.map(() => 0);
    const grid = [0.5, 1].map((part) =>
      svg("line", { x1: 0, x2: width, y1: y(high * part), y2: y(high * part), class: "grid" }),
    );
    // What did not happen would only lie over what did.
    const there = this.series.filter(({ key }) => points.some((point) => point[key] > 0));
    const paths =
      points.length < 2
        ? []
        : there.flatMap(({ key, kind }) => {
            const floor = below.slice();
            const tops = points.map((point, at) => {
              const value = (point[key] ?? 0) + (this.stacked ? below[at] : 0);
              below[at] = value;
              return `${x(at)} ${y(value)}`;
            });
            const line = svg("path", { d: `M${tops.join("L")}`, class: `line ${kind}` });
            if (!this.stacked) return [line];
            const bottoms = floor.map((value, at) => `${x(at)} ${y(value)}`).reverse();
            const area = svg("path", {
              d: `M${tops.join("L")}L${bottoms.join("L")}Z`,
              class: `area ${kind}`,
            });
            // A line along an area of no height would only hide the one below it.
            return floor.some((value) => value > 0) ? [area] : [area, line];
          });
    refill(this.drawing, grid, paths);
  }

  tabulate() {
    const rows = this.points.slice(-TABLE_ROWS).reverse();
    const cell = (text) => el("td", null, text);
    refill(
      this.table,
      el("caption", { class: "sr" }, `The last ${rows.length} seconds`),
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          ["time", ...this.series.map(({ name }) => name)].map((name) =>
            el("th", { scope: "col" }, name),
          ),
        ),
      ),
      el(
        "tbody",
        null,
        rows.map((point) =>
          el(
            "tr",
            null,
            cell(clock(point.at_ms)),
            this.series.map(({ key }) => cell(this.format(point[key] ?? 0))),
          ),
        ),
      ),
    );
  }
}

/** A small line of one shard's or worker's seconds. */
export function spark(values, seconds = 60) {
  const [width, height] = [180, 32];
  const high = Math.max(1, ...values);
  const shown = values.slice(-seconds);
  const at = (n) => (((seconds - shown.length + n) / (seconds - 1)) * width).toFixed(1);
  const line = shown.map(
    (value, n) => `${at(n)} ${(height - 2 - (value / high) * (height - 4)).toFixed(1)}`,
  );
  const words = `the last ${shown.length} seconds, ${high} events a second at most`;
  const drawing = svg("svg", {
    viewBox: `0 0 ${width} ${height}`,
    class: "spark",
    role: "img",
    "aria-label": words,
  });
  if (line.length > 1)
    drawing.append(svg("path", { d: `M${line.join("L")}`, class: "line enriched" }));
  return drawing;
}
