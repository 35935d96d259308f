// JSON as a tree that opens and closes: every branch is a <details>, every leaf a line.

import { el } from "./dom.js";

// Branches with more members are shown in parts, so that a hostile payload does not stop a browser.
const PART = 100;

// Longer texts are cut until somebody asks for all of them.
const LONG = 2000;

/** Whether a text is JSON of more than one value, which is better shown as a tree. */
function unpacked(value) {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** A member of a tree: its name and value. `open` levels are open from the start. */
export function branch(name, value, open = 1) {
  const json = unpacked(value);
  if (json === null || typeof json !== "object") return leaf(name, json);
  const members = Array.isArray(json) ? json.map((item, at) => [at, item]) : Object.entries(json);
  if (members.length === 0) return leaf(name, Array.isArray(json) ? "[ ]" : "{ }", "empty");
  const isSchema = !Array.isArray(json) && typeof json.schema === "string" && "data" in json;
  const about = isSchema ? json.schema : Array.isArray(json) ? `${members.length} items` : null;
  const inside = el("div", { class: "inside" });
  const details = el(
    "details",
    { class: "branch", open: open > 0 },
    el(
      "summary",
      null,
      el("span", { class: "key" }, name),
      about && el("span", { class: "about" }, about),
    ),
    inside,
  );
  // Members are made when they are looked at: most are not.
  const make = (from) => {
    for (const [key, item] of members.slice(from, from + PART))
      inside.append(branch(key, item, open - 1));
    if (members.length > from + PART) {
      const more = el(
        "button",
        { type: "button", class: "quiet small" },
        `${members.length - from - PART} more`,
      );
      more.addEventListener("click", () => (more.remove(), make(from + PART)));
      inside.append(more);
    }
  };
  const once = () => inside.childElementCount === 0 && make(0);
  if (open > 0) once();
  else details.addEventListener("toggle", once, { once: true });
  return details;
}

/** A name with a value. */
export function leaf(name, value, kind = value === null ? "null" : typeof value) {
  const shown = String(value);
  const made = el("span", { class: `value ${kind}` }, shown.slice(0, LONG));
  const line = el("div", { class: "leaf" }, el("span", { class: "key" }, name), made);
  if (shown.length > LONG) {
    const more = el(
      "button",
      { type: "button", class: "quiet small" },
      `all ${shown.length} characters`,
    );
    more.addEventListener(
      "click",
      () => (more.remove(), made.replaceChildren(el("span", null, shown))),
    );
    line.append(more);
  }
  return line;
}

/** A value that was one thing and is another. */
export function changed(name, was, is) {
  return el(
    "div",
    { class: "leaf" },
    el("span", { class: "key" }, name),
    el("del", { class: "value" }, was ?? "nothing"),
    el("span", { "aria-label": "became" }, " \u2192 "),
    el("ins", { class: "value" }, is ?? "nothing"),
  );
}
