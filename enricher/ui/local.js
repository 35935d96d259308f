// The page of `snowmelt local`: what came, what became of it, and why.

import { byId, copier, duration, el, number, sign, VERDICTS } from "./dom.js";
import { Plot } from "./plot.js";
import { themes } from "./theme.js";
import { Events } from "./local/events.js";
import { Fleet } from "./local/fleet.js";
import { Rules } from "./local/rules.js";
import { start } from "./local/start.js";

const SECONDS = 300;

const throughput = new Plot(byId("throughput"), {
  title: "Throughput",
  series: ["enriched", "bad", "parked", "dropped"].map((key) => ({ key, name: key, kind: key })),
  stacked: true,
  format: number,
  summary: (points) => {
    const { enriched = 0, bad = 0, parked = 0, dropped = 0 } = points.at(-1) ?? {};
    const all = enriched + bad + parked + dropped;
    return `${number(all)} ${all === 1 ? "event" : "events"} a second, ${number(bad)} bad`;
  },
});

const lag = new Plot(byId("lag"), {
  title: "Lag",
  series: [{ key: "lag_ms", name: "lag", kind: "lagging" }],
  format: duration,
  summary: (points) => {
    const { lag_ms: ms = 0, waiting = 0 } = points.at(-1) ?? {};
    return `${duration(ms)} until worked, ${number(waiting)} not checkpointed`;
  },
});

const events = new Events({ onCount: showCounts });
const fleet = new Fleet();
const rules = new Rules();

let seconds = [];
let totals = {};

// What the verdicts' buttons say and do.
const counts = Object.fromEntries(
  Object.keys(VERDICTS).map((verdict) => {
    const many = el("span", { class: "many" }, "0");
    const rate = el("span", { class: "rate" });
    const button = el(
      "button",
      {
        type: "button",
        class: `count ${verdict}`,
        "aria-pressed": "false",
        disabled: verdict === "dropped",
      },
      sign(verdict),
      el("span", { class: "name" }, VERDICTS[verdict].name),
      rate,
      many,
    );
    button.addEventListener("click", () => events.toggleRoute(verdict));
    byId("counts").append(button);
    return [verdict, { button, many, rate }];
  }),
);

function showCounts() {
  const last = seconds.at(-1) ?? {};
  for (const [verdict, { button, many, rate }] of Object.entries(counts)) {
    many.textContent = number(totals[verdict] ?? 0);
    rate.textContent = last[verdict] ? `${number(last[verdict])}/s` : "";
    button.setAttribute("aria-pressed", String(events.routes.has(verdict)));
    // Nothing is ever dropped in most runs, and what was cannot be listed.
    button.hidden = verdict === "dropped" && !totals.dropped;
  }
}

function status(kind, words) {
  const state = byId("status");
  if (state.textContent === words) return;
  state.className = `state ${kind}`;
  state.textContent = words;
}

function listen() {
  const live = new EventSource("/api/live");
  live.addEventListener("hello", ({ data }) => {
    const told = JSON.parse(data);
    status("enriched", "live");
    document.title = "Snowmelt local";
    seconds = told.seconds;
    totals = told.totals;
    showCounts();
    draw();
    events.hello(told);
    fleet.hello(told);
    start(byId("start-content"), told);
  });
  live.addEventListener("beat", ({ data }) => {
    const told = JSON.parse(data);
    seconds.push(told.second);
    seconds.splice(0, seconds.length - SECONDS);
    totals = told.totals;
    showCounts();
    draw();
    fleet.beat(told);
  });
  live.addEventListener("newest", ({ data }) => {
    const told = JSON.parse(data);
    totals = told.totals;
    showCounts();
    events.news(told);
  });
  live.addEventListener("error", () => {
    status("bad", "not connected: is it still running?");
    // A browser gives up after some answers; the page does not.
    if (live.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
  });
}

function draw() {
  if (document.hidden || byId("events").hidden) return;
  throughput.set(seconds);
  lag.set(seconds);
}

// Which view is shown stands in the address, with the filters.
function route() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  const view = ["events", "fleet", "rules", "start"].includes(path) ? path : "events";
  for (const section of document.querySelectorAll("main > section"))
    section.hidden = section.id !== view;
  for (const link of document.querySelectorAll(".tabs a")) {
    if (link.getAttribute("href") === `#/${view}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (view === "events") events.restore(new URLSearchParams(query ?? ""));
  if (view === "rules") rules.show();
  fleet.shown = view === "fleet";
  fleet.draw();
  draw();
}

function keys(event) {
  const typing = event.target.closest?.("input, select, textarea, dialog");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape" && events.isOpen() && !byId("help").open) {
    if (typing && event.target.id === "text" && event.target.value) return;
    event.preventDefault();
    events.close();
    return;
  }
  if (typing) return;
  if (event.key === "?") return byId("help").showModal();
  if (byId("events").hidden) return;
  const routes = ["enriched", "bad", "incomplete", "parked"];
  const act =
    {
      "/": () => byId("text").focus(),
      j: () => events.move(1),
      k: () => events.move(-1),
      p: () => events.pause(),
    }[event.key] ??
    (routes[event.key - 1] && (() => events.toggleRoute(routes[event.key - 1])));
  if (!act) return;
  event.preventDefault();
  act();
}

byId("address").textContent = location.origin;
byId("copy-address").append(copier("Copy", () => location.origin));
themes(byId("theme"));
byId("help-button").addEventListener("click", () => byId("help").showModal());
document.addEventListener("keydown", keys);
document.addEventListener("visibilitychange", () => (draw(), events.wake()));
window.addEventListener("hashchange", route);
route();
listen();
