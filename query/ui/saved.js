// Queries that have a name, and an address that can be passed on.

import { ask } from "./asking.js";
import { byId, el, refill } from "./dom.js";

/** The last part of an address, of a name. */
export const slug = (name) =>
  name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 64) || "query";

/** Shows all; the one that is open is marked. */
export async function show(open) {
  const { saved } = await ask("saved");
  const each = saved.map((one) => {
    const current = one.slug === open ? "page" : null;
    const link = el("a", { href: `#saved=${one.slug}`, "aria-current": current }, one.name);
    const remove = el(
      "button",
      { type: "button", class: "quiet small", "aria-label": `Delete ${one.name}` },
      "Delete",
    );
    let sure = false;
    remove.addEventListener("click", async () => {
      if (!sure) {
        sure = true;
        remove.textContent = "Delete?";
        remove.setAttribute("aria-label", `Delete ${one.name}? Press again`);
        return;
      }
      await ask(`saved/${one.slug}`, { method: "DELETE" });
      await show(open);
    });
    const about = one.description && el("span", { class: "soft" }, one.description);
    return el("li", null, el("span", { class: "what" }, link, about), remove);
  });
  refill(byId("saved"), each.length > 0 ? each : el("li", { class: "soft" }, "none yet"));
}

/** Keeps a query; the one that was opened is kept anew, another name makes another one. */
export async function save({ name, description, sql, chart }, opened) {
  const address = slug(name);
  const same = opened?.slug === address;
  const sent = { name, sql, revision: same ? opened.revision : 0 };
  if (description) sent.description = description;
  if (chart) sent.chart = chart;
  return ask(`saved/${address}`, { method: "PUT", sent });
}
