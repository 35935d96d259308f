// A line or bar chart of an answer. It says in words what it shows; the table below it has the
// numbers.

import { el, number, refill, svg } from "./dom.js";

// More bars cannot be told apart, more lines neither.
const BARS = 40;
const LINES = 6;

const HEIGHT = 260;
const LEFT = 64;

/** A round number not below a value. */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const steps = [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10].map((step) => step * power);
  return steps.find((step) => step >= value);
}

const short = (value) =>
  new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 2 }).format(value);

const label = (value) => {
  const text = value === null ? "null" : typeof value === "object" ? JSON.stringify(value) : `${value}`;
  return text.replace(/T00:00:00\.000Z$/, "").replace(/:00\.000Z$/, "Z");
};

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}\u2026` : text);

export class Chart {
  /** In an element; `onChange` is called when another chart is chosen. */
  constructor(place, onChange) {
    Object.assign(this, { place, onChange, columns: [], rows: [], chosen: null });
    new ResizeObserver(() => this.draw()).observe(place);
  }

  /** What is chosen: `{type, x, y, series}`, or null for none. */
  get choice() {
    return this.chosen;
  }

  clear() {
    this.columns = [];
    this.rows = [];
    refill(this.place);
  }

  /** An answer, and how it is to be drawn. */
  set(columns, rows, choice) {
    Object.assign(this, { columns, rows });
    const names = columns.map(({ name }) => name);
    const fits = choice && names.includes(choice.x) && names.includes(choice.y);
    this.chosen = fits ? { ...choice } : null;
    this.drawing = el("div");
    const numbers = columns.filter(({ kind }) => kind === "number").map(({ name }) => name);
    if (numbers.length === 0 || columns.length < 2) {
      this.chosen = null;
      return refill(this.place);
    }
    refill(this.place, el("figure", { class: "drawn" }, this.choices(names, numbers), this.drawing));
    this.draw();
  }

  choices(names, numbers) {
    const kinds = { "": "none", line: "lines", bar: "bars" };
    const types = Object.keys(kinds);
    const type = this.select("Chart", types, this.chosen?.type ?? "", kinds);
    const other = names.find((name) => !numbers.includes(name)) ?? names[0];
    const y = this.select("of", numbers, this.chosen?.y ?? numbers.at(-1));
    const x = this.select("by", names, this.chosen?.x ?? other);
    const none = { "": "one line" };
    const series = this.select("a line for each", ["", ...names], this.chosen?.series ?? "", none);
    const [kind, , , lines] = [type, y, x, series].map((chosen) => chosen.querySelector("select"));
    const change = () => {
      const [ofY, ofX] = [y, x].map((chosen) => chosen.querySelector("select").value);
      this.chosen = kind.value ? { type: kind.value, x: ofX, y: ofY } : null;
      if (kind.value === "line" && lines.value) this.chosen.series = lines.value;
      show();
      this.draw();
      this.onChange();
    };
    const show = () => {
      for (const one of [y, x]) one.hidden = !kind.value;
      series.hidden = kind.value !== "line";
    };
    show();
    const box = el("div", { class: "choices" }, type, y, x, series);
    box.addEventListener("change", change);
    return box;
  }

  select(name, values, chosen, words = {}) {
    const options = values.map((value) =>
      el("option", { value, selected: value === chosen }, words[value] ?? value),
    );
    return el("label", null, name, el("select", null, options));
  }

  draw() {
    // The place may change its size while the next answer is under way.
    if (!this.drawing || this.columns.length === 0) return;
    if (!this.chosen) return refill(this.drawing);
    const at = (name) => this.columns.findIndex((column) => column.name === name);
    const [x, y, series] = ["x", "y", "series"].map((part) => at(this.chosen[part]));
    const points = this.rows
      .filter((row) => row[y] !== null)
      .map((row) => ({ x: row[x], y: Number(row[y]), series: series < 0 ? "" : label(row[series]) }));
    const width = Math.max(260, Math.round(this.place.clientWidth));
    const made = this.chosen.type === "bar" ? this.bars(points, width) : this.lines(points, width, x);
    refill(this.drawing, made);
  }

  frame(width, height, words) {
    const box = `0 0 ${width} ${height}`;
    return svg("svg", { viewBox: box, class: "drawing", role: "img", "aria-label": words });
  }

  bars(points, width) {
    const shown = points.slice(0, BARS);
    const high = ceiling(Math.max(0, ...shown.map(({ y }) => y)));
    const [step, names] = [24, Math.min(200, width * 0.35)];
    const room = width - names - 72;
    const more = points.length > BARS ? `, the first ${BARS} of ${number(points.length)}` : "";
    const most = shown.reduce((best, one) => (best && best.y >= one.y ? best : one), null);
    const top = most ? `; ${label(most.x)} has the most, ${number(most.y)}` : "";
    const words = `Bars of ${this.chosen.y} by ${this.chosen.x}${more}${top}`;
    const drawing = this.frame(width, shown.length * step + 4, words);
    shown.forEach((point, n) => {
      const length = Math.max(1, (Math.max(0, point.y) / high) * room);
      const middle = n * step + step / 2 + 4;
      const name = cut(label(point.x), Math.floor(names / 6.6));
      drawing.append(
        svg("text", { x: names - 8, y: middle, "text-anchor": "end" }, name),
        svg("rect", { x: names, y: n * step + 4, width: length, height: step - 7, rx: 3, class: "bar" }),
        svg("text", { x: names + length + 6, y: middle, class: "value" }, short(point.y)),
      );
    });
    return [drawing, el("p", { class: "soft" }, words)];
  }

  lines(points, width, x) {
    const { kind } = this.columns[x];
    const place = { time: (value) => Date.parse(value), number: Number }[kind];
    const names = [...new Set(points.map(({ series }) => series))];
    const shown = names.slice(0, LINES);
    // What is neither a time nor a number stands in the order in which it came.
    const labels = [...new Set(points.map((point) => label(point.x)))];
    const order = new Map(labels.map((one, n) => [one, n]));
    const where = (point) => (place ? place(point.x) : order.get(label(point.x)));
    const all = points.filter((point) => Number.isFinite(where(point)) && point.x !== null);
    const [least, last] = [Math.min(...all.map(where)), Math.max(...all.map(where))];
    const high = ceiling(Math.max(0, ...all.map(({ y }) => y)));
    const low = Math.min(0, ...all.map(({ y }) => y));
    const right = width - 12;
    const across = (value) => LEFT + ((value - least) / (last - least || 1)) * (right - LEFT);
    const up = (value) => HEIGHT - 28 - ((value - low) / (high - low)) * (HEIGHT - 40);
    const more = names.length > LINES ? `, the first ${LINES} of ${names.length} lines` : "";
    const peak = all.reduce((best, one) => (best && best.y >= one.y ? best : one), null);
    const top = peak ? `; the highest is ${number(peak.y)} at ${label(peak.x)}` : "";
    const words = `${this.chosen.y} by ${this.chosen.x}, ${number(all.length)} points${more}${top}`;
    const drawing = this.frame(width, HEIGHT, words);
    for (const part of [0, 0.5, 1]) {
      const value = low + (high - low) * part;
      const y = up(value).toFixed(1);
      drawing.append(
        svg("line", { x1: LEFT, x2: right, y1: y, y2: y, class: "grid" }),
        svg("text", { x: LEFT - 8, y: Number(y) + 4, "text-anchor": "end" }, short(value)),
      );
    }
    for (const [n, name] of shown.entries()) {
      const line = all.filter(({ series }) => series === name);
      line.sort((a, b) => where(a) - where(b));
      const spots = line.map((one) => `${across(where(one)).toFixed(1)} ${up(one.y).toFixed(1)}`);
      if (spots.length > 1)
        drawing.append(svg("path", { d: `M${spots.join("L")}`, class: `curve s${n}` }));
      if (spots.length <= 60)
        for (const one of line)
          drawing.append(
            svg("circle", { cx: across(where(one)), cy: up(one.y), r: 2.5, class: `dot s${n}` }),
          );
    }
    const ends = all.slice().sort((a, b) => where(a) - where(b));
    if (ends.length > 0)
      drawing.append(
        svg("text", { x: LEFT, y: HEIGHT - 8 }, label(ends[0].x)),
        svg("text", { x: right, y: HEIGHT - 8, "text-anchor": "end" }, label(ends.at(-1).x)),
      );
    return [drawing, this.legend(shown), el("p", { class: "soft" }, words)];
  }

  legend(names) {
    if (names.length < 2) return null;
    const keys = names.map((name, n) => {
      const mark = svg("svg", { viewBox: "0 0 28 8", class: "drawing", "aria-hidden": "true" });
      mark.append(svg("path", { d: "M0 4H28", class: `curve s${n}` }));
      return el("li", null, mark, name);
    });
    return el("ul", { class: "legend" }, keys);
  }
}
