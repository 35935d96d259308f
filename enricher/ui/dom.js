// Elements made of data. Everything that comes from outside goes through text(): it is shown as
// text, whatever it contains.

// What a reader could not see, what would turn the text around, and what terminals obey.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A text in which nothing is hidden: such characters are shown by their numbers. */
export function text(value) {
  const shown = (unseen) => unseen.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
  return String(value).replace(UNSEEN, (unseen) => `\u27e8U+${shown(unseen)}\u27e9`);
}

/** JSON in which nothing is hidden, and which is still the same JSON. */
export const escaped = (json) =>
  json.replace(UNSEEN, (unseen) => `\\u${unseen.charCodeAt(0).toString(16).padStart(4, "0")}`);

/**
 * An element: properties by name, `class` and `data-…`, `aria-…` included, functions as
 * listeners (`onclick`); children are elements or texts; nothing is made of null.
 */
export function el(tag, properties, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else made.setAttribute(name, text(value));
  }
  return fill(made, ...children);
}

/** An element of a drawing. */
export function svg(tag, properties, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(properties ?? {})) made.setAttribute(name, value);
  return fill(made, ...children);
}

function fill(element, ...children) {
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : text(child));
  }
  return element;
}

/** Puts other children into an element. */
export function refill(element, ...children) {
  element.replaceChildren();
  return fill(element, ...children);
}

/** The element of an id. */
export const byId = (id) => document.getElementById(id);

const WHOLE = new Intl.NumberFormat("en");

/** 12,345 */
export const number = (value) => WHOLE.format(value);

/** 850 ms, 2.4 s, 3 min */
export function duration(ms) {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** The time of day, to the second or the millisecond. */
export function clock(ms, exactly = false) {
  const at = new Date(ms);
  const two = (part) => String(part).padStart(2, "0");
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(":");
  return exactly ? `${time}.${String(at.getMilliseconds()).padStart(3, "0")}` : time;
}

/** `link_click 1-0-1` of an Iglu URI, with all of it as a title. */
export function schemaName(uri) {
  const [, name, , version] = uri.replace(/^iglu:/, "").split("/");
  return el("span", { class: "schema", title: uri }, name ?? uri, version ? ` ${version}` : null);
}

/** What each verdict is called, and its sign: colour alone tells nobody anything. */
export const VERDICTS = {
  enriched: { name: "enriched", sign: "M3 8.500 6.500 12 13 4.500" },
  bad: { name: "bad", sign: "M4 4l8 8M12 4l-8 8" },
  incomplete: { name: "incomplete", sign: "M8 3v6.500M8 12.500v.500" },
  parked: { name: "parked", sign: "M5.500 4v8M10.500 4v8" },
  dropped: { name: "dropped", sign: "M3.500 8h9" },
};

/** The sign of a verdict. */
export function sign(verdict) {
  const drawing = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true", class: "sign" });
  drawing.append(svg("path", { d: VERDICTS[verdict]?.sign ?? "M8 8h.01" }));
  return drawing;
}

/** A verdict with its sign. */
export function badge(verdict) {
  return el(
    "span",
    { class: `badge ${verdict}` },
    sign(verdict),
    VERDICTS[verdict]?.name ?? verdict,
  );
}

/** Asks for JSON; what is refused is thrown in the words of the answer. */
export async function ask(path, sent) {
  const options = sent && {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(sent),
  };
  const answer = await fetch(path, options);
  const said = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(said.error ?? `the answer was ${answer.status}`);
  return said;
}

/** A button that copies a text, and says so. */
export function copier(what, get) {
  const button = el("button", { type: "button", class: "quiet small" }, what);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(get());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Cannot copy";
    }
    setTimeout(() => (button.textContent = what), 1500);
  });
  return button;
}
