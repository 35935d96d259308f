// The query page of `snowmelt local`, on the tables of a run: what a newcomer asks first.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, linkSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Run, browser, faults, picture } from "./run.mjs";

const { SNOWMELT_BINARY, SNOWMELT_QUERY } = process.env;
process.env.PATH = `${dirname(SNOWMELT_QUERY)}:${process.env.PATH}`;

const CART = "iglu:com.acme/cart/jsonschema/1-0-0";
const SCHEMAS = {
  [CART]: {
    type: "object",
    properties: { sku: { type: "string", description: "What lies in the cart" } },
  },
};

/** Tables of generated events, as a worker writes them, of which so many are bad. */
function tables(folder, seed) {
  const payloads = join(folder, `${seed}.bin`);
  const generate = ["generate", "--events", "300", "--bad", "0.1", "--seed", seed];
  execFileSync(SNOWMELT_BINARY, ["--quiet", ...generate, "--output", payloads]);
  const enrich = ["enrich", "--input", payloads, "--format", "parquet"];
  execFileSync(SNOWMELT_BINARY, ["--quiet", ...enrich, "--output", join(folder, seed)]);
  return join(folder, seed);
}

/** Copies the files of tables beside others. */
function add(from, to, name) {
  for (const table of readdirSync(from)) {
    for (const entry of readdirSync(join(from, table), { recursive: true })) {
      if (!entry.endsWith(".parquet")) continue;
      const target = join(to, table, dirname(entry), `${name}.parquet`);
      execFileSync("mkdir", ["-p", dirname(target)]);
      copyFileSync(join(from, table, entry), target);
    }
  }
}

/** The processes that a process has started. */
function children(pid) {
  const of = (id) => readFileSync(`/proc/${pid}/task/${id}/children`, "utf8");
  const all = readdirSync(`/proc/${pid}/task`).map(of).join(" ");
  return all.split(" ").filter(Boolean).map(Number);
}

async function holds(what, wanted) {
  const until = Date.now() + 20_000;
  while (!(await what())) {
    assert.ok(Date.now() < until, wanted);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const says = (locator, wanted) =>
  holds(async () => wanted.test((await locator.textContent()).trim()), `${wanted}`);

async function tab(chromium, address) {
  const context = await chromium.newContext({ viewport: { width: 1440, height: 1000 } });
  const page = await context.newPage();
  page.said = [];
  page.on("console", (message) => page.said.push(message.text()));
  page.on("pageerror", (error) => page.said.push(String(error)));
  page.setDefaultTimeout(20_000);
  await page.goto(address);
  return page;
}

async function close(page) {
  assert.deepEqual(page.said, []);
  await page.context().close();
}

const status = (page) => page.locator("#status");
const cells = (page) => page.locator("#result tbody td").allTextContents();

async function asked(page, sql) {
  await page.locator("#sql").fill(sql);
  await page.locator("#run").click();
}

// Ids are read, while rows alone are counted without a look into files.
const COUNT = "SELECT count(DISTINCT event_id) AS n FROM events";

describe("the query page of a run", { concurrency: false }, () => {
  let chromium;
  let run;
  let made;

  before(async () => {
    chromium = await browser();
    run = await Run.start(SCHEMAS);
    made = mkdtempSync(join(tmpdir(), "snowmelt-tables-"));
    add(tables(made, "1"), join(run.dir, "tables"), "first");
  });

  after(async () => {
    await chromium?.close();
    await run?.end();
    rmSync(made, { recursive: true, force: true });
  });

  test("answers what a newcomer asks, and its address brings that back", async () => {
    const page = await tab(chromium, `${run.address}/#/events`);
    await page.getByRole("link", { name: "Query", exact: true }).click();
    await page.locator("#tables summary").first().waitFor();
    await page.getByRole("link", { name: "Events per country and hour" }).click();
    await says(status(page), /^\d+ rows; scanned 1 file/);
    const found = await cells(page);
    const [countries, counts] = [1, 2].map((at) => found.filter((_, n) => n % 3 === at));
    for (const country of ["US", "GB", "DE"]) assert.ok(countries.includes(country), country);
    await asked(page, COUNT);
    await says(status(page), /^1 row;/);
    assert.equal(counts.map(Number).reduce((a, b) => a + b), Number((await cells(page))[0]));
    await page.getByRole("link", { name: "What failed, and why" }).click();
    await says(status(page), /^[1-9]\d* rows?; scanned 1 file/);
    assert.match((await cells(page)).join(" "), /schema_violations/);
    await says(page.locator("#chart svg").first(), /schema_violations/);
    await picture(page, "asked");
    assert.deepEqual(await faults(page), []);
    const other = await tab(chromium, page.url());
    await says(status(other), /^[1-9]\d* rows?; scanned 1 file/);
    assert.deepEqual(await cells(other), await cells(page));
    await close(other);
    await page.getByRole("link", { name: "Events as they come" }).click();
    await page.getByText("live", { exact: true }).waitFor();
    await close(page);
  });

  test("sees what is written meanwhile", async () => {
    const page = await tab(chromium, `${run.address}/query/`);
    await asked(page, COUNT);
    await says(status(page), /^1 row; scanned 1 file/);
    const [before] = await cells(page);
    add(tables(made, "2"), join(run.dir, "tables"), "second");
    await page.locator("#run").click();
    await says(status(page), /^1 row; scanned 2 files/);
    assert.ok(Number((await cells(page))[0]) > Number(before));
    await says(page.locator("#tables summary").first(), /2 files/);
    await close(page);
  });

  test("says what a column holds when it is pointed at or reached by keys", async () => {
    const page = await tab(chromium, `${run.address}/query/`);
    const column = (name) => page.locator(`button[data-insert="${name}"]`).first();
    await column("app_id").hover();
    await says(page.locator("#about-column"), /^app_id text.*application/is);
    await column("collector_tstamp").focus();
    await says(page.locator("#about-column"), /^collector_tstamp timestamp.{10,}/s);
    assert.match(await column("app_id").getAttribute("aria-description"), /application/i);
    await page.locator("#find").fill("web_page_1");
    await column("item['id']").hover();
    await says(page.locator("#about-column"), /^id text.{5,}/is);
    await page.locator("#sql").fill("SELECT ");
    await page.locator("#find").fill("app_id");
    await column("app_id").click();
    assert.equal(await page.locator("#sql").inputValue(), "SELECT app_id");
    await close(page);
    const dictionary = JSON.parse(readFileSync(join(run.dir, "tables", "dictionary.json")));
    const { fields } = dictionary.find(({ path }) => path === "contexts_com_acme_cart_1");
    assert.equal(fields.find(({ path }) => path.endsWith("sku")).description, "What lies in the cart");
  });

  test("goes on after the program was killed, and ends with the run", async () => {
    const page = await tab(chromium, `${run.address}/query/`);
    await asked(page, COUNT);
    await says(status(page), /^1 row;/);
    const [first] = children(run.child.pid);
    process.kill(first, "SIGKILL");
    await asked(page, "SELECT 2 AS two");
    await says(status(page), /^1 row;/);
    const [second] = children(run.child.pid);
    assert.notEqual(second, first);
    await page.context().close();
    run.child.kill("SIGKILL");
    await holds(() => !existsSync(`/proc/${second}`), "it ends with the process that started it");
    const folder = run.dir;
    run = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  test("says in a sentence how to get the program where there is none", async () => {
    const folder = mkdtempSync(join(dirname(SNOWMELT_BINARY), "alone-"));
    const alone = join(folder, "snowmelt");
    linkSync(SNOWMELT_BINARY, alone);
    const bare = await Run.start({}, { binary: alone, env: { ...process.env, PATH: "" } });
    try {
      const answer = await fetch(`${bare.address}/query/`);
      assert.equal(answer.status, 503);
      const page = await (await chromium.newContext()).newPage();
      await page.goto(`${bare.address}/query/`);
      await says(page.locator("#why"), /^snowmelt-query is neither beside this program.*makes it$/);
      await page.context().close();
      const { error } = await (await fetch(`${bare.address}/query/api/tables`)).json();
      assert.match(error.message, /^snowmelt-query is neither/);
    } finally {
      await bare.end();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
