// Tables and columns beside the editor: a press puts a name into the statement.

import { byId, el, number, refill } from "./dom.js";

// Names that need no quotes.
const PLAIN = /^[a-z_][a-z0-9_]*$/;

const quoted = (name) => (PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
const member = (above, name) => `${above}['${name.replaceAll("'", "''")}']`;

export const megabytes = (bytes) => `${(bytes / 1e6).toFixed(bytes < 1e7 ? 2 : 0)} MB`;

function column(field, text, onPick) {
  const button = el(
    "button",
    { type: "button", class: "column", title: field.type, "data-insert": text },
    el("span", { class: "name" }, field.name),
    el("span", { class: "type" }, field.type),
  );
  button.addEventListener("click", () => onPick(text));
  const about =
    field.description && el("p", { class: "about-column" }, field.description);
  // Members of a list's structs are reached when the list is unnested, by their names alone.
  const inside = field.members.map((one) =>
    column(one, field.list ? member("item", one.name) : member(text, one.name), onPick),
  );
  return el("li", null, button, about, inside.length > 0 && el("ul", { class: "columns" }, inside));
}

/** Shows tables; `find` leaves columns out whose names and descriptions do not have it. */
export function show(tables, find, onPick) {
  const wanted = find.trim().toLowerCase();
  const has = (field) =>
    [field.name, field.description ?? ""].some((text) => text.toLowerCase().includes(wanted)) ||
    field.members.some(has);
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
      { open: at === 0 || wanted !== "" },
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
  refill(byId("tables"), lists);
}
