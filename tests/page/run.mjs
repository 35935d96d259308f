// A run of `snowmelt local` and a browser that looks at it, for the tests of the page.
//
// SNOWMELT_BINARY, SNOWMELT_MODULES (where npm's packages are) and SNOWMELT_CHROMIUM say where
// things are; with SNOWMELT_PICTURES a folder is filled with pictures of the page.
import { spawn } from "node:child_process";
import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";

const { SNOWMELT_BINARY, SNOWMELT_MODULES, SNOWMELT_CHROMIUM, SNOWMELT_PICTURES } = process.env;
const require = createRequire(`${SNOWMELT_MODULES}/package.json`);

export const UNSTRUCT = "iglu:com.snowplowanalytics.snowplow/unstruct_event/jsonschema/1-0-0";
const PAYLOAD = "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4";
const CONTEXTS = "iglu:com.snowplowanalytics.snowplow/contexts/jsonschema/1-0-0";

/** The binary at work in a folder of its own, with schemas by their URIs. */
export class Run {
  static async start(schemas = {}, { binary = SNOWMELT_BINARY, env = process.env } = {}) {
    const run = new Run();
    run.dir = mkdtempSync(join(tmpdir(), "snowmelt-page-"));
    for (const [uri, schema] of Object.entries(schemas)) {
      const [vendor, name, format, version] = uri.replace("iglu:", "").split("/");
      const file = join(run.dir, "schemas", vendor, name, format, version);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, JSON.stringify({ self: { vendor, name, format, version }, ...schema }));
    }
    run.child = spawn(binary, ["local", "--port", "0", "--dir", run.dir], {
      env,
      stdio: ["ignore", "ignore", "pipe"],
    });
    const said = createInterface({ input: run.child.stderr });
    run.address = await new Promise((resolve, reject) => {
      said.on("line", (line) => {
        const at = line.indexOf("http://");
        if (at >= 0) resolve(line.slice(at).trim());
      });
      said.on("close", () => reject(new Error("it did not say where it listens")));
    });
    return run;
  }

  /** Sends events as a tracker does; they have been worked when this returns. */
  async send(events, { wait = true } = {}) {
    const common = { p: "web", tv: "test", aid: "shop" };
    const data = events.map((event) => ({ ...common, ...event }));
    const answer = await fetch(`${this.address}/com.snowplowanalytics.snowplow/tp2`, {
      method: "POST",
      headers: { "content-type": "application/json; charset=UTF-8" },
      body: JSON.stringify({ schema: PAYLOAD, data }),
    });
    if (!answer.ok) throw new Error(`the collector answered ${answer.status}`);
    if (wait) await this.settled();
  }

  /** Waits until all that was sent is worked. */
  async settled() {
    await (await fetch(`${this.address}/micro/all`)).json();
  }

  async end() {
    const ended = new Promise((resolve) => this.child.on("exit", resolve));
    this.child.kill("SIGINT");
    await ended;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

export const pageView = (n, more) => ({
  e: "pv",
  url: `http://shop.test/${n}`,
  page: `Page ${n}`,
  ...more,
});

export const selfDescribing = (schema, data, more) => ({
  e: "ue",
  ue_pr: JSON.stringify({ schema: UNSTRUCT, data: { schema, data } }),
  ...more,
});

export const entities = (...list) =>
  JSON.stringify({ schema: CONTEXTS, data: list.map(([schema, data]) => ({ schema, data })) });

/** A browser that reaches this machine and nothing else. */
export function browser() {
  return require("playwright-core").chromium.launch({
    executablePath: SNOWMELT_CHROMIUM,
    args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"],
  });
}

/** A tab on the page, with all it said and all it asked others for. */
export async function tab(from, run, { view = "events", ...options } = {}) {
  const context = await from.newContext({ viewport: { width: 1440, height: 1000 }, ...options });
  const page = await context.newPage();
  page.said = [];
  page.elsewhere = [];
  page.on("console", (message) => page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  page.on("request", (request) => {
    if (new URL(request.url()).origin !== run.address) page.elsewhere.push(request.url());
  });
  page.setDefaultTimeout(20_000);
  await page.goto(`${run.address}/#/${view}`);
  await page.getByText("live", { exact: true }).waitFor();
  return page;
}

/** What axe finds that is serious. */
export async function faults(page) {
  if (!(await page.evaluate(() => "axe" in window))) {
    // The page's policy lets no script in but its own, so the inspector brings it.
    await page.evaluate(require("axe-core").source);
  }
  const { violations } = await page.evaluate(() =>
    window.axe.run(document, { resultTypes: ["violations"] }),
  );
  const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
  return serious.map(({ id, nodes }) => {
    const each = nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`);
    return `${id}: ${each.join("; ")}`;
  });
}

export async function picture(page, name) {
  if (SNOWMELT_PICTURES) await page.screenshot({ path: join(SNOWMELT_PICTURES, `${name}.png`) });
}
