// The query page: a statement, its answer, and an address for both.

import { ask, door, file, run } from "./asking.js";
import { Chart } from "./chart.js";
import { byId, copier, el, number, refill } from "./dom.js";
import { Editor } from "./editor.js";
import * as examples from "./examples.js";
import { Result } from "./result.js";
import * as saved from "./saved.js";
import * as tables from "./tables.js";
import { themes } from "./theme.js";

const editor = new Editor(byId("editor"), () => start());
const result = new Result(byId("result"));
const chart = new Chart(byId("chart"), () => address());

let running = null;
let opened = null;
let known = [];
// What the address said last, so that it is not followed when the page itself has changed it.
let written = "";

function status(words) {
  byId("status").textContent = words;
}

function wrong(about) {
  const shown = byId("wrong");
  shown.hidden = !about;
  if (!about) return;
  const { message, hint, line, column } = about;
  const place = line ? `Line ${line}, column ${column}: ` : "";
  refill(shown, place + message, hint && el("span", { class: "hint" }, hint));
  editor.mark(about);
}

/** Puts the statement and its chart into the fragment, which no server is told. */
function address() {
  const said = new URLSearchParams();
  if (opened && opened.sql === editor.text) {
    said.set("saved", opened.slug);
  } else {
    said.set("sql", editor.text);
    for (const [part, value] of Object.entries(chart.choice ?? {})) said.set(part, value);
  }
  written = `#${said}`;
  history.replaceState(null, "", written);
}

const account = ({ rows, cut, files, bytes, ms }) => {
  const all = `${number(rows)} ${rows === 1 ? "row" : "rows"}${cut ? ", and there are more" : ""}`;
  const read = `scanned ${number(files)} ${files === 1 ? "file" : "files"}`;
  return `${all}; ${read}, ${tables.megabytes(bytes)}, in ${(ms / 1000).toFixed(2)} s`;
};

async function start(choice = chart.choice) {
  running?.abort();
  const own = (running = new AbortController());
  const sql = editor.text;
  wrong(null);
  result.clear();
  chart.clear();
  address();
  busy(true);
  status("running");
  try {
    await run(
      sql,
      (told) => {
        if (own !== running) return;
        if (told.queued) status("waiting for others to be done");
        if (told.columns) (result.begin(told.columns), status("running"));
        if (told.rows) result.add(told.rows);
        if (told.done) status(account(told.done));
        if (told.error) (wrong(told.error), status("no answer"));
      },
      own.signal,
    );
    if (own !== running) return;
    byId("csv").disabled = result.columns.length === 0 || !byId("wrong").hidden;
    chart.set(result.columns, result.rows, choice);
    address();
  } catch (error) {
    if (own !== running) return;
    if (error.name === "AbortError") status("cancelled");
    else (wrong(error.about ?? { message: error.message }), status("no answer"));
  } finally {
    if (own === running) busy(false);
  }
  // What was written meanwhile; that it cannot be read is told when it is asked for.
  refresh().catch(() => {});
}

function busy(is) {
  byId("cancel").disabled = !is;
  byId("run").textContent = is ? "Run again" : "Run";
  if (is) byId("csv").disabled = true;
  else running = null;
}

async function download() {
  const button = byId("csv");
  button.disabled = true;
  try {
    const made = URL.createObjectURL(await file("csv", { sql: editor.text }));
    const link = el("a", { href: made, download: `${opened?.slug ?? "answer"}.csv` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(made), 10_000);
  } catch (error) {
    wrong(error.about ?? { message: error.message });
  } finally {
    button.disabled = false;
  }
}

/** Follows the address: a saved query, or a statement. */
async function follow() {
  if (location.hash === written) return;
  const said = new URLSearchParams(location.hash.slice(1));
  written = location.hash;
  try {
    if (said.has("saved")) {
      opened = await ask(`saved/${encodeURIComponent(said.get("saved"))}`);
      editor.text = opened.sql;
      await Promise.all([start(opened.chart ?? null), saved.show(opened.slug)]);
    } else if (said.has("sql")) {
      opened = null;
      editor.text = said.get("sql");
      const choice = { type: said.get("type"), x: said.get("x"), y: said.get("y") };
      if (said.has("series")) choice.series = said.get("series");
      await start(choice.type ? choice : null);
    }
  } catch (error) {
    wrong(error.about ?? { message: error.message });
  }
}

async function keep(event) {
  event.preventDefault();
  const shown = byId("saving-wrong");
  try {
    const [name, description] = [byId("name").value.trim(), byId("description").value.trim()];
    const query = { name, description, sql: editor.text, chart: chart.choice };
    opened = await saved.save(query, opened);
    byId("saving").close();
    address();
    await saved.show(opened.slug);
    status(`saved as ${opened.name}`);
  } catch (error) {
    shown.hidden = false;
    shown.textContent = error.message;
  }
}

function wire() {
  const [saving, knowing] = [byId("saving"), byId("knowing")];
  byId("ask").addEventListener("submit", (event) => (event.preventDefault(), start()));
  byId("cancel").addEventListener("click", () => running?.abort());
  byId("csv").addEventListener("click", download);
  byId("find").addEventListener("input", columns);
  byId("save").addEventListener("click", () => {
    byId("name").value = opened?.name ?? "";
    byId("description").value = opened?.description ?? "";
    byId("saving-wrong").hidden = true;
    saving.showModal();
  });
  byId("saving-form").addEventListener("submit", keep);
  byId("saving-close").addEventListener("click", () => saving.close());
  byId("share").append(copier("Copy address", () => (address(), location.href)));
  door.open = () =>
    new Promise((resolve) => {
      byId("token").value = "";
      if (!knowing.open) knowing.showModal();
      knowing.addEventListener("close", () => resolve(byId("token").value.trim()), { once: true });
    });
  window.addEventListener("hashchange", follow);
  themes(byId("theme"));
}

function columns() {
  tables.show(known, byId("find").value, (text) => editor.insert(text));
}

/** What has been written meanwhile; nobody's place in the list is lost by it. */
async function refresh() {
  const read = (await ask("tables")).tables;
  const same = JSON.stringify(read) === JSON.stringify(known);
  if (same || byId("tables").contains(document.activeElement)) return;
  known = read;
  columns();
}

async function begin() {
  wire();
  editor.text = examples.EXAMPLES[0].sql;
  examples.show();
  try {
    const about = await ask("about");
    const most = `${number(about.rows)} rows`;
    byId("limits").textContent = about.seconds ? `up to ${most} and ${about.seconds} s` : most;
    byId("save").hidden = !about.saves;
    byId("home").hidden = !about.beside;
    known = (await ask("tables")).tables;
    columns();
    await saved.show(null);
  } catch (error) {
    refill(byId("tables"), el("p", { class: "soft" }, error.message));
  }
  await follow();
}

begin();
