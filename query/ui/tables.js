// Tables and columns beside the editor: a press puts a name into the statement.

import { byId, el, number, refill } from "./dom.js";

// Names that need no quotes.
const PLAIN = /^[a-z_][a-z0-9_]*$/;

const quoted = (name) => (PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
const member = (above, name) => `${above}['${name.replaceAll("'", "''")}']`;

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;

/** Says in the place for it what a column is. */
function tell(field) {
  const about = field.description ?? "Nothing is said of it.";
  const name = el("span", { class: "name" }, field.name);
  refill(byId("about-column"), el("p", null, name, ` ${field.type}`), el("p", null, about));
}

function column(field, text, onPick) {
  const telling = () => tell(field);
  const button = el(
    "button",
    {
      type: "button",
      class: "column",
      "data-insert": text,
      "aria-description": field.description,
      onmouseenter: telling,
      onfocus: telling,
    },
    el("span", { class: "name" }, field.name),
    el("span", { class: "type" }, field.type),
  );
  button.addEventListener("click", () => onPick(text));
  // Members of a list's structs are reached when the list is unnested, by their names alone.
  const inside = field.members.map((one) =>
    column(one, field.list ? member("item", one.name) : member(text, one.name), onPick),
  );
  return el("li", null, button, inside.length > 0 && el("ul", { class: "columns" }, inside));
}

/** Shows tables; `find` leaves columns out whose names and descriptions do not have it. */
export function show(tables, find, onPick) {
  const wanted = find.trim().toLowerCase();
  const has = (field) =>
    [field.name, field.description ?? ""].some((text) => text.toLowerCase().includes(wanted)) ||
    field.members.some(has);
  const place = byId("tables");
  const before = [...place.querySelectorAll("details")];
  const opened = before.filter(({ open }) => open).map(({ dataset }) => dataset.table);
  const { scrollTop } = place;
  const lists = tables.map((table, at) => {
    const columns = table.columns.filter(has);
    const name = el(
      "button",
      { type: "button", class: "column", "data-insert": table.name },
      el("span", { class: "name" }, `insert ${table.name}`),
    );
    name.addEventListener("click", () => onPick(table.name));
    const files = `${number(table.files)} ${table.files === 1 ? "file" : "files"}`;
    const rows = `${number(table.rows)} rows, ${files}, `;
    return el(
      "details",
      {
        open: wanted !== "" || (before.length > 0 ? opened.includes(table.name) : at === 0),
        "data-table": table.name,
      },
      el(
        "summary",
        null,
        `${table.name} `,
        el("span", { class: "soft" }, rows + megabytes(table.bytes)),
      ),
      el(
        "ul",
        { class: "columns" },
        el("li", null, name),
        columns.map((field) => column(field, quoted(field.name), onPick)),
      ),
    );
  });
  refill(place, lists);
  place.scrollTop = scrollTop;
}
