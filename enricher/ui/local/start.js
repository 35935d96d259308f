// How events get here, and some to begin with.

import { copier, el, refill } from "../dom.js";

const PAYLOAD = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";
const UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";
const CLICK = "iglu:com.snowplowanalytics.snowplow/link_click/jsonschema/1-0-1";

function event(parameters) {
  const now = String(Date.now());
  return {
    p: "web",
    tv: "page",
    aid: "try-it",
    eid: crypto.randomUUID(),
    dtm: now,
    stm: now,
    url: "http://shop.test/winter",
    page: "Winter",
    ...parameters,
  };
}

const click = (data) =>
  event({ e: "ue", ue_pr: JSON.stringify({ schema: UNSTRUCT, data: { schema: CLICK, data } }) });

const SAMPLES = {
  "A page view": () => event({ e: "pv" }),
  "A click": () => click({ targetUrl: "http://shop.test/sledge", elementId: "sledge" }),
  "One that fails": () => click({ targetUrl: 7, elementClasses: "wide", colour: "white" }),
  "One of an unknown schema": () =>
    event({
      e: "ue",
      ue_pr: JSON.stringify({
        schema: UNSTRUCT,
        data: {
          schema: "iglu:com.acme/sledge_ride/jsonschema/1-0-0",
          data: { hill: "north", runs: 3 },
        },
      }),
    }),
};

async function send(sample) {
  const answer = await fetch("/com.snowplowanalytics.snowplow/tp2", {
    method: "POST",
    headers: { "content-type": "application/json; charset=UTF-8" },
    body: JSON.stringify({ schema: PAYLOAD, data: [sample] }),
  });
  if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
}

/** Fills the view. */
export function start(content, { dir }) {
  if (content.childElementCount) return;
  const snippet = [
    'import { newTracker, trackPageView } from "@snowplow/browser-tracker";',
    `newTracker("sp", "${location.origin}", { appId: "shop" });`,
    "trackPageView();",
  ].join("\n");
  const curl = `curl "${location.origin}/i?e=pv&p=web&tv=hand&aid=shop&url=http%3A%2F%2Fshop.test%2F"`;
  const said = el("p", { class: "soft", role: "status" });
  const buttons = Object.entries(SAMPLES).map(([name, make], at) => {
    const button = el("button", { type: "button", class: at ? "quiet" : null }, name);
    button.addEventListener("click", async () => {
      try {
        await send(make());
        refill(
          said,
          `Sent: ${name.toLowerCase()}. `,
          el("a", { href: "#/events" }, "See what became of it"),
        );
      } catch (error) {
        refill(said, error.message);
      }
    });
    return button;
  });
  refill(
    content,
    el(
      "p",
      { class: "lead" },
      "Everything here goes the way of a real event: collector, stream, worker, files.",
    ),
    el(
      "div",
      { class: "two" },
      el(
        "article",
        { class: "sheet" },
        el("h3", null, "From here"),
        el("div", { class: "doing" }, buttons),
        said,
      ),
      el(
        "article",
        { class: "sheet" },
        el("h3", null, "From a web page"),
        el("pre", null, snippet),
        el(
          "div",
          { class: "doing" },
          copier("Copy", () => snippet),
        ),
      ),
      el(
        "article",
        { class: "sheet" },
        el("h3", null, "From a shell"),
        el("pre", null, curl),
        el(
          "div",
          { class: "doing" },
          copier("Copy", () => curl),
        ),
      ),
      el(
        "article",
        { class: "sheet" },
        el("h3", null, "Schemas of your own"),
        el(
          "p",
          null,
          "A file saved as ",
          el("code", null, `${dir}/schemas/VENDOR/NAME/jsonschema/1-0-0`),
          " counts for the next event.",
        ),
        el(
          "p",
          { class: "soft" },
          "Enriched events and bad rows are files in ",
          el("code", null, `${dir}/enriched`),
          " and ",
          el("code", null, `${dir}/bad`),
          ".",
        ),
      ),
    ),
  );
}
