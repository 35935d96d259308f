// The status of one worker, asked for every two seconds. What came from the worker is only ever
// set as text.

const EVERY_MS = 2000;
const byId = (id) => document.getElementById(id);

function element(name, text, kind) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const number = (value, digits = 0) =>
  value === null || value === undefined
    ? "–"
    : value.toLocaleString("en", { maximumFractionDigits: digits });

function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number(value, unit ? 1 : 0)} ${units[unit]}`;
}

function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 120) return `${number(seconds, seconds < 10 ? 1 : 0)} s`;
  if (seconds < 7200) return `${number(seconds / 60)} min`;
  return `${number(seconds / 3600, 1)} h`;
}

const ago = (ms) => (ms ? `${span(Math.max(0, (Date.now() - ms) / 1000))} ago` : "never");

// A table of rows; a column is its title, what a row shows there, and perhaps how.
function fill(id, rows, columns) {
  const head = element("tr");
  for (const [title, , kind] of columns) {
    const cell = element("th", title, kind === "number" ? "number" : undefined);
    cell.scope = "col";
    head.append(cell);
  }
  const body = rows.map((row) => {
    const line = element("tr");
    for (const [, show, kind] of columns) {
      const style = typeof kind === "function" ? kind(row) : kind;
      line.append(element("td", show(row), style));
    }
    return line;
  });
  byId(id).replaceChildren(head, ...body);
}

function figures(status) {
  const shown = [
    ["enriched in a second", number(status.work.enriched_per_second, 1)],
    ["bad in a second", number(status.work.bad_per_second, 1)],
    ["parked", number(status.work.parked)],
    ["shards here / all", `${status.fleet.held} / ${status.fleet.known}`],
    ["workers / wanted", `${status.fleet.workers} / ${number(status.fleet.desired_workers)}`],
    ["processors", status.process.processors === null ? "–" : `${number(status.process.processors * 100)} %`],
    ["in flight", `${bytes(status.process.in_flight_bytes)} of ${bytes(status.process.in_flight_limit_bytes)}`],
    ["memory", bytes(status.process.memory_bytes)],
    ["running for", span(status.uptime_seconds)],
  ];
  byId("figures").replaceChildren(
    ...shown.map(([name, value]) => {
      const pair = element("div");
      pair.append(element("dt", name), element("dd", value));
      return pair;
    }),
  );
}

function show(status) {
  byId("worker").textContent = `${status.worker} reads ${status.stream}`;
  document.title = `${status.ready ? "" : "! "}${status.worker} · Snowmelt`;
  const ready = byId("ready");
  ready.textContent = status.draining ? "draining" : status.ready ? "ready" : "not ready";
  ready.className = status.ready ? "good" : "bad";
  byId("limit").textContent = `What limits it: ${status.limit.stage} (${status.limit.why}).`;
  byId("reasons").replaceChildren(...status.reasons.map((reason) => element("li", reason)));
  figures(status);
  fill("shards", status.shards, [
    ["shard", (row) => row.shard],
    ["owner", (row) => (row.here ? "here" : (row.owner ?? "nobody"))],
    ["behind", (row) => span(row.lag_seconds), "number"],
    ["not durable for", (row) => span(row.undurable_seconds), "number"],
    ["caught up in", (row) => span(row.catch_up_seconds), "number"],
    ["load", (row) => `${bytes(row.bytes_per_second)}/s`, "number"],
    ["failures", (row) => number(row.failures), (row) => (row.failures ? "number bad" : "number")],
  ]);
  fill("destinations", status.destinations, [
    ["route", (row) => row.route],
    ["name", (row) => row.name ?? (row.implied ? "(implied)" : "")],
    ["to", (row) => row.to],
  ]);
  fill("services", status.services, [
    ["what", (row) => row.what],
    ["last success", (row) => ago(row.succeeded_ms)],
    ["failing for", (row) => span(row.failing_seconds), (row) => (row.failing_seconds === null ? undefined : "bad")],
    ["last error", (row) => (row.error ? `${ago(row.failed_ms)}: ${row.error}` : "")],
  ]);
  const registries = status.schemas.registries.map((registry) => ({
    what: `registry ${registry.name}`,
    state: `${number(registry.asked)} requests, ${number(registry.failed)} without a verdict`,
  }));
  const assets = status.assets.map((asset) => ({
    what: `asset ${asset.name}`,
    state: asset.version ?? "missing",
  }));
  const known = {
    what: "schemas",
    state: `${status.schemas.found} known, ${status.schemas.missing} that nobody has, ${status.schemas.unavailable} that nobody could be asked for`,
  };
  fill("schemas", [known, ...registries, ...assets], [
    ["what", (row) => row.what],
    ["state", (row) => row.state],
  ]);
}

async function ask() {
  try {
    const answer = await fetch("/status", { headers: { accept: "application/json" } });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    const ready = byId("ready");
    ready.textContent = `does not answer (${error.message})`;
    ready.className = "bad";
  }
  setTimeout(ask, EVERY_MS);
}

ask();
