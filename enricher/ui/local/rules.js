// What events are checked against and enriched with, and where each of it comes from.

import { ask, byId, el, number, refill } from "../dom.js";
import { branch } from "../tree.js";

export class Rules {
  async show() {
    const content = byId("rules-content");
    const told = await ask("/api/rules").catch((error) => ({ error }));
    if (told.error) return void refill(content, el("p", null, told.error.message));
    refill(content, this.enrichments(told), this.schemas(told));
  }

  enrichments({ enrichments, steps, folder, assets }) {
    const shown = enrichments.map(({ name, file, enabled, configuration }) =>
      el(
        "details",
        { class: "sheet card" },
        el(
          "summary",
          null,
          name,
          " ",
          el(
            "span",
            { class: `state ${enabled ? "enriched" : "dropped"}` },
            enabled ? "on" : "off",
          ),
        ),
        el("p", { class: "soft mono" }, file),
        branch("configuration", configuration, 3),
      ),
    );
    return el(
      "section",
      null,
      el("h3", null, "Enrichments"),
      el(
        "p",
        { class: "lead" },
        folder ? "Read at the start from " : "None is configured.",
        folder && el("code", null, folder),
        assets && ", their assets from ",
        assets && el("code", null, assets),
        ". They run in this order: ",
        ["built in", ...steps].join(", "),
        ".",
      ),
      el("div", { class: "cards" }, shown),
    );
  }

  schemas({ schemas, registries }) {
    const asked = registries
      .map(({ name, asked }) => `${name} (asked ${number(asked)} times)`)
      .join(", ");
    const head = ["Schema", "From", ""];
    const row = ({ key, registry, unavailable }) => {
      const source = registry
        ? el("span", null, registry)
        : el(
            "span",
            { class: `state ${unavailable ? "parked" : "bad"}` },
            unavailable ? "cannot be asked" : "in no registry",
          );
      const cell = el("td", { class: "figure" });
      const row = el(
        "tr",
        null,
        el("td", null, el("code", null, key.replace(/^iglu:/, ""))),
        el("td", null, source),
        cell,
      );
      if (registry) {
        const open = el(
          "button",
          {
            type: "button",
            class: "quiet small",
            "aria-expanded": "false",
            "aria-label": `Show ${key}`,
          },
          "Show",
        );
        open.addEventListener("click", () => this.open(row, open, key));
        cell.append(open);
      }
      return row;
    };
    return el(
      "section",
      null,
      el("h3", null, "Schemas"),
      el(
        "p",
        { class: "lead" },
        `What data asked for so far, and which registry has it. Registries: ${asked}. A schema that is saved in the folder counts for the next event.`,
      ),
      schemas.length === 0
        ? el("p", { class: "soft" }, "No event has asked for a schema yet.")
        : el(
            "div",
            { class: "scroll" },
            el(
              "table",
              { class: "sheet" },
              el("caption", { class: "sr" }, "Schemas"),
              el(
                "thead",
                null,
                el(
                  "tr",
                  null,
                  head.map((name) =>
                    el("th", { scope: "col" }, name || el("span", { class: "sr" }, "Text")),
                  ),
                ),
              ),
              el("tbody", null, schemas.map(row)),
            ),
          ),
    );
  }

  /** Shows a schema below its row, or hides it. */
  async open(row, button, key) {
    const below = row.nextElementSibling;
    const shown = below?.classList.contains("text");
    button.setAttribute("aria-expanded", String(!shown));
    button.textContent = shown ? "Show" : "Hide";
    button.setAttribute("aria-label", `${button.textContent} ${key}`);
    if (shown) return below.remove();
    const told = await ask(`/api/schema?${new URLSearchParams({ key })}`).catch((error) => ({
      error,
    }));
    const text = told.error ? told.error.message : branch("schema", told.schema, 9);
    row.after(el("tr", { class: "text" }, el("td", { colspan: 3, class: "text" }, text)));
  }
}
