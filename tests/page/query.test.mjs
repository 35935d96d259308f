// The query page in a browser, as people use it. SNOWMELT_QUERY says where the program is.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { browser, faults, picture } from "./run.mjs";

const PROGRAM = process.env.SNOWMELT_QUERY;

const EVENTS = `SELECT 'e' || value AS event_id,
  CASE value % 3 WHEN 0 THEN 'page_view' WHEN 1 THEN 'link_click' ELSE 'page_ping' END AS event_name,
  to_timestamp(1795860000 + value * 60) AS collector_tstamp,
  CASE value % 5 WHEN 0 THEN 'DE' WHEN 1 THEN 'SE' ELSE 'FR' END AS geo_country,
  9007199254740993 + value AS large,
  named_struct('size', value, 'label', 'a, "b"') AS thing
FROM generate_series(0, 499)`;

const ENDLESS = "SELECT count(*) FROM generate_series(1, 100000000000)";

/** The program at work on a folder of its own. */
class Served {
  static async start(more = []) {
    const served = new Served();
    served.dir = mkdtempSync(join(tmpdir(), "snowmelt-query-"));
    execFileSync("mkdir", [join(served.dir, "events")]);
    const file = join(served.dir, "events", "a.parquet");
    execFileSync(PROGRAM, ["--data", served.dir, "--quiet", "--output", file, EVENTS]);
    const arguments_ = ["--data", served.dir, "--serve", "--listen", "127.0.0.1:0", ...more];
    served.child = spawn(PROGRAM, arguments_, { stdio: ["ignore", "ignore", "pipe"] });
    const said = createInterface({ input: served.child.stderr });
    served.address = await new Promise((resolve, reject) => {
      said.on("line", (line) => {
        const at = line.indexOf("http://");
        if (at >= 0) resolve(line.slice(at).trim());
      });
      said.on("close", () => reject(new Error("it did not say where it listens")));
    });
    return served;
  }

  async end() {
    const ended = new Promise((resolve) => this.child.on("exit", resolve));
    this.child.kill("SIGINT");
    await ended;
    rmSync(this.dir, { recursive: true, force: true });
  }
}

async function tab(chromium, address, options = {}) {
  const size = { viewport: { width: 1440, height: 1000 }, acceptDownloads: true };
  const context = await chromium.newContext({ ...size, ...options });
  const page = await context.newPage();
  page.said = [];
  page.elsewhere = [];
  page.on("console", (message) => page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    const own = origin === new URL(address).origin || protocol === "blob:";
    if (!own) page.elsewhere.push(request.url());
  });
  page.setDefaultTimeout(20_000);
  await page.goto(address);
  await page.locator("#tables summary").first().waitFor();
  return page;
}

/** Waits until an element says something. */
async function says(locator, wanted) {
  const until = Date.now() + 20_000;
  for (;;) {
    const said = (await locator.textContent({ timeout: 20_000 })).trim();
    if (wanted.test(said)) return;
    assert.ok(Date.now() < until, `expected ${wanted}, found ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const status = (page) => page.locator("#status");
const cells = (page) => page.locator("#result tbody td").allTextContents();

async function asked(page, sql) {
  await page.locator("#sql").fill(sql);
  await page.locator("#run").click();
}

async function close(page, allowed = []) {
  const strange = page.said.filter((line) => !allowed.some((known) => known.test(line)));
  assert.deepEqual(strange, []);
  assert.deepEqual(page.elsewhere, []);
  await page.context().close();
}

describe("the query page", { concurrency: false }, () => {
  let chromium;
  let served;

  before(async () => {
    chromium = await browser();
    served = await Served.start();
  });

  after(async () => {
    await chromium?.close();
    await served?.end();
  });

  test("answers, with an empty console, and asks no other host", async () => {
    const page = await tab(chromium, served.address);
    await asked(page, "SELECT event_name, count(*) AS n, max(large) AS large FROM events GROUP BY 1 ORDER BY 1");
    await says(status(page), /^3 rows; scanned 1 file, 0\.\d\d MB, in \d+\.\d\d s$/);
    const expected = [
      ["link_click", "167", "9007199254741492"],
      ["page_ping", "166", "9007199254741490"],
      ["page_view", "167", "9007199254741491"],
    ];
    assert.deepEqual(await cells(page), expected.flat());
    await close(page);
  });

  test("shows tables and columns, and puts them into the statement", async () => {
    const page = await tab(chromium, served.address);
    await page.locator("#sql").fill("SELECT ");
    await page.locator("#find").fill("size");
    await page.locator("button[data-insert=\"thing['size']\"]").click();
    assert.equal(await page.locator("#sql").inputValue(), "SELECT thing['size']");
    await page.locator("#find").fill("reason");
    await page.locator("button[data-insert=reason]").hover();
    await says(page.locator("#about-column"), /^reason text.*first of its reasons/s);
    await close(page);
  });

  test("says where a mistake is and what was meant", async () => {
    const page = await tab(chromium, served.address);
    await asked(page, "SELECT\n  contry FROM events");
    await says(page.locator("#wrong"), /^Line 2, column 3: there is no column contry.*geo_country/);
    await says(page.locator(".numbers .bad"), /2/);
    await asked(page, "DROP TABLE events");
    await says(page.locator("#wrong"), /only queries are answered/);
    await close(page);
  });

  test("draws lines and bars, and an address brings both back", async () => {
    const page = await tab(chromium, served.address);
    const sql = `SELECT date_trunc('hour', collector_tstamp) AS hour, geo_country, count(*) AS n
FROM events GROUP BY 1, 2 ORDER BY 1, 2 -- 100 %; & # "ä"`;
    await asked(page, sql);
    await says(status(page), /^27 rows/);
    await page.getByLabel("Chart").selectOption("line");
    await page.getByLabel("a line for each").selectOption("geo_country");
    assert.equal(await page.locator("#chart .curve").count(), 6);
    assert.match(await page.locator("#chart svg").first().getAttribute("aria-label"), /n by hour, 27 points/);
    await picture(page, "query-light");
    const shared = page.url();
    const other = await tab(chromium, shared, { colorScheme: "dark" });
    await says(status(other), /^27 rows/);
    assert.equal(await other.locator("#sql").inputValue(), sql);
    assert.equal(await other.locator("#chart .curve").count(), 6);
    await picture(other, "query-dark");
    await other.getByLabel("Chart").selectOption("bar");
    assert.equal(await other.locator("#chart .bar").count(), 27);
    await close(other);
    await close(page);
  });

  test("keeps queries under names, with addresses for others", async () => {
    const page = await tab(chromium, served.address);
    await asked(page, "SELECT geo_country, count(*) AS n FROM events GROUP BY 1 ORDER BY 2 DESC");
    await says(status(page), /^3 rows/);
    await page.getByLabel("Chart").selectOption("bar");
    await page.locator("#save").click();
    await page.locator("#name").fill("Events per country");
    await page.locator("#saving-form button[type=submit]").click();
    await says(page.locator("#saved"), /Events per country/);
    assert.match(page.url(), /#saved=events-per-country$/);
    const other = await tab(chromium, page.url());
    await says(status(other), /^3 rows/);
    assert.equal(await other.locator("#chart .bar").count(), 3);
    await other.getByRole("button", { name: "Delete Events per country" }).click();
    await other.getByRole("button", { name: "press again" }).click();
    await says(other.locator("#saved"), /none yet/);
    await close(other);
    await close(page);
  });

  test("gives up when it is told to, and when the tab is closed", async () => {
    const page = await tab(chromium, served.address);
    for (let n = 0; n < 3; n++) {
      await asked(page, ENDLESS);
      await says(status(page), /running/);
      await page.locator("#cancel").click();
      await says(status(page), /cancelled/);
    }
    // Two run at a time: were those still running, none of these would.
    for (let n = 0; n < 2; n++) {
      const gone = await tab(chromium, served.address);
      await asked(gone, ENDLESS);
      await says(status(gone), /running/);
      await gone.context().close();
    }
    await asked(page, "SELECT 1 AS one");
    await says(status(page), /^1 row;/);
    await close(page);
  });

  test("gives an answer as CSV", async () => {
    const page = await tab(chromium, served.address);
    await asked(page, "SELECT event_id, thing FROM events ORDER BY event_id LIMIT 1");
    await says(status(page), /^1 row;/);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.locator("#csv").click(),
    ]);
    const chunks = [];
    for await (const chunk of await download.createReadStream()) chunks.push(chunk);
    const expected = 'event_id,thing\ne0,"{""size"":0,""label"":""a, \\""b\\""""}"\n';
    assert.equal(Buffer.concat(chunks).toString(), expected);
    await close(page);
  });

  test("can be used with the keyboard alone, and axe finds nothing serious", async () => {
    const page = await tab(chromium, served.address);
    await page.locator("#sql").focus();
    await page.keyboard.press("Control+A");
    await page.keyboard.type("SELECT event_name, count(*) AS n FROM events GROUP BY 1");
    await page.keyboard.press("Control+Enter");
    await says(status(page), /^3 rows/);
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.id), "run");
    await page.getByLabel("Chart").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.locator("#chart .bar").count(), 3);
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme });
      assert.deepEqual(await faults(page), []);
    }
    await page.locator("#save").click();
    assert.deepEqual(await faults(page), []);
    await page.keyboard.press("Escape");
    await close(page);
  });

  test("fits a phone", async () => {
    const phone = { viewport: { width: 390, height: 844 } };
    const page = await tab(chromium, served.address, phone);
    await asked(page, "SELECT event_name, collector_tstamp, large FROM events LIMIT 20");
    await says(status(page), /^20 rows/);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 390, `${wide}`);
    await picture(page, "query-phone");
    assert.deepEqual(await faults(page), []);
    await close(page);
  });

  test("asks for a token where one is needed", async () => {
    const file = join(served.dir, "token");
    const { writeFileSync } = await import("node:fs");
    writeFileSync(file, "a-word-that-is-long-enough\n");
    const guarded = await Served.start(["--token-file", file]);
    try {
      const context = await chromium.newContext();
      const page = await context.newPage();
      await page.goto(guarded.address);
      await page.locator("#token").fill("a-word-that-is-long-enough");
      await page.locator("#knowing-form button").click();
      await page.locator("#tables summary").first().waitFor();
      const refused = await fetch(`${guarded.address}api/tables`);
      assert.equal(refused.status, 401);
      await context.close();
    } finally {
      await guarded.end();
    }
  });
});
