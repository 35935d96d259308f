// The page of `snowmelt local` in a browser, as people use it.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { browser, entities, faults, pageView, picture, Run, selfDescribing, tab } from "./run.mjs";

const CART = "iglu:com.acme/cart/jsonschema/1-0-0";
const CUSTOMER = "iglu:com.acme/customer/jsonschema/1-0-0";
const price = (type) => ({
  type: "object",
  properties: { sku: { type: "string" }, price: { type } },
  required: ["price"],
});
const SCHEMAS = {
  [CART]: price("number"),
  [CART.replace("1-0-0", "1-0-1")]: price(["number", "string"]),
  [CUSTOMER]: { type: "object", properties: { tier: { enum: ["gold", "none"] } } },
};
const FAILING = '"price": "9"';

const rows = (page) => page.locator("#rows tr");
const first = (page) => rows(page).first().locator("button");
const count = (page, verdict) => page.locator(`.count.${verdict} .many`);
const button = (within, name) => within.getByRole("button", { name });

/** Waits until something holds in a page. */
const holds = (page, what, given) => page.waitForFunction(what, given, { timeout: 20_000 });

/** Waits until an element says something. */
async function says(locator, wanted) {
  const until = Date.now() + 20_000;
  for (;;) {
    const said = (await locator.textContent({ timeout: 20_000 })).trim();
    if (typeof wanted === "string" ? said === wanted : wanted.test(said)) return;
    assert.ok(Date.now() < until, `expected ${wanted}, found ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const allBad = () => {
  const rows = [...document.querySelectorAll("#rows tr")];
  return rows.length > 0 && rows.every((row) => row.matches(".isbad"));
};

/** Ends a tab, which must have said nothing and asked nobody else. */
async function close(page) {
  assert.deepEqual(page.said, []);
  assert.deepEqual(page.elsewhere, []);
  await page.context().close();
}

describe("the page", { concurrency: false }, () => {
  let chromium;
  let run;

  before(async () => {
    chromium = await browser();
    run = await Run.start(SCHEMAS);
  });

  after(async () => {
    await chromium?.close();
    await run?.end();
  });

  test("loads with an empty console, asks no other host, and says what to do first", async () => {
    const page = await tab(chromium, run);
    await says(page.locator("#nothing h3"), "Waiting for the first event");
    await page.getByRole("link", { name: "Send one from here" }).click();
    await button(page, "A page view").click();
    await page.getByRole("link", { name: "See what became of it" }).click();
    await says(count(page, "enriched"), "1");
    await says(rows(page).first(), /enriched.*page_view.*shop\.test\/winter/s);
    await close(page);
  });

  test("counts 2,000 events as they come", async () => {
    const page = await tab(chromium, run);
    const good = Number(await count(page, "enriched").textContent());
    for (let part = 0; part < 20; part++) {
      const events = Array.from({ length: 95 }, (_, n) => pageView(part * 95 + n));
      const bad = Array.from({ length: 5 }, (_, n) =>
        selfDescribing(CART, { sku: `s${n}`, price: "9" }),
      );
      await run.send([...events, ...bad], { wait: false });
    }
    await run.settled();
    await says(count(page, "enriched"), (good + 1900).toLocaleString("en"));
    await says(count(page, "bad"), "100");
    await says(count(page, "incomplete"), "100");
    await holds(page, () => document.querySelectorAll("#throughput path.area.bad").length === 1);
    assert.match(
      await page.locator("#throughput svg").getAttribute("aria-label"),
      /events a second/,
    );
    await close(page);
  });

  test("filters by verdict, application, event, schema and text, as its address says", async () => {
    const blog = { aid: "blog", co: entities([CUSTOMER, { tier: "gold" }]) };
    await run.send([pageView("needle-7", blog), pageView("other", { aid: "blog" })]);
    const page = await tab(chromium, run);
    const shown = (wanted) =>
      holds(page, (wanted) => document.querySelectorAll("#rows tr").length === wanted, wanted);
    const choose = async (id, value) => {
      await page.locator(id).focus();
      await holds(
        page,
        ([id, value]) => [...document.querySelector(id).options].some((one) => one.value === value),
        [id, value],
      );
      await page.locator(id).selectOption(value);
    };
    await page.locator("#text").fill("NEEDLE-7");
    await shown(1);
    assert.match(page.url(), /text=NEEDLE-7/);
    await page.reload();
    await shown(1);
    await button(page, "Clear").click();
    await choose("#app", "blog");
    await shown(2);
    await choose("#schema", CUSTOMER);
    await shown(1);
    await button(page, "Clear").click();
    await choose("#event", "cart");
    await page.locator(".count.bad").click();
    await holds(page, allBad);
    await says(page.locator("#listed"), /the newest 60 events of this kind/);
    await page.locator("#older").click();
    await shown(100);
    await close(page);
  });

  test("says why an event failed, and has it mended by the nearest version", async () => {
    const page = await tab(chromium, run, { view: "events?routes=bad" });
    await first(page).click();
    const detail = page.locator("#detail");
    await says(detail.locator("h3"), "cart");
    const wrong = detail.locator(".wrongs li").first();
    await says(wrong.locator(".pointer"), "/price");
    await says(wrong, /the schema wants: number.*found: string "9"/s);
    await says(detail.locator(".remedy"), /Version 1-0-1 would accept it/);
    await button(wrong, "Show in the payload: /price").click();
    const chosen = await detail
      .locator("textarea")
      .evaluate((area) => area.value.slice(area.selectionStart, area.selectionEnd));
    assert.equal(chosen, FAILING);

    const before = await count(page, "enriched").textContent();
    await button(detail, "Use it below").click();
    await says(detail.locator(".verdict"), /it would be enriched/);
    assert.equal(await count(page, "enriched").textContent(), before, "nothing is sent yet");
    await button(detail, "Send it again").click();
    await says(detail.locator(".verdict"), /It came through/);
    await button(detail, /Open number/).click();
    await says(detail.locator("header .badge"), "enriched");
    await says(detail.locator(".facts"), /cart 1-0-1/);
    await close(page);
  });

  test("lets a payload be typed anew, and says meanwhile what is wrong with it", async () => {
    const page = await tab(chromium, run, { view: "events?routes=bad" });
    await first(page).click();
    const area = page.locator("#detail textarea");
    const sent = await area.inputValue();
    await area.fill(sent.slice(1));
    await says(page.locator(".verdict"), /this is no JSON/);
    await area.fill(sent.replace(FAILING, '"price": false'));
    await says(page.locator(".verdict"), /schema violations; \/price: wants number, found/);
    await area.fill(sent.replace(FAILING, '"price": 9'));
    await says(page.locator(".verdict"), /it would be enriched/);
    await button(page, "As it was").click();
    assert.equal(await area.inputValue(), sent);
    await close(page);
  });

  test("shows what every step and enrichment set, as a tree", async () => {
    const ua = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
    await run.send([pageView("tree", { ua })]);
    const page = await tab(chromium, run, { view: "events?text=shop.test/tree" });
    await first(page).click();
    const step = (name) =>
      page.locator("details.step", { has: page.locator(`summary .key:text-is("${name}")`) });
    await says(step("built in"), /page_urlpath.*\/tree/s);
    await says(step("woothee_config"), /br_family.*Firefox/s);
    await step("sent by the tracker").locator("summary").click();
    await says(step("sent by the tracker"), /http:\/\/shop.test\/tree/);
    await close(page);
  });

  test("is used by keyboard alone", async () => {
    const page = await tab(chromium, run);
    const press = (key) => page.keyboard.press(key);
    const focused = () =>
      page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
    await press("Tab");
    assert.equal(await focused(), "Skip to the content");
    await press("Enter");
    await press("/");
    assert.equal(await focused(), "text");
    await page.keyboard.type("cart");
    await press("Tab");
    assert.equal(await focused(), "app");
    for (let n = 0; n < 3; n++) await press("Tab");
    await press("2");
    await holds(page, allBad);
    await press("j");
    await press("ArrowDown");
    assert.equal(await focused(), "cart");
    await press("Enter");
    await says(page.locator("#detail h3"), "cart");
    await holds(page, () => document.activeElement.tagName === "H3");
    // To the payload, past what stands before it, and out of it again.
    const isArea = () => page.evaluate(() => document.activeElement.tagName === "TEXTAREA");
    for (let n = 0; n < 40 && !(await isArea()); n++) await press("Tab");
    await press("Tab");
    assert.equal(await focused(), "Send it again");
    await press("Enter");
    await says(page.locator(".verdict"), /cart: \$\.price/);
    await press("Escape");
    await holds(page, () => document.querySelector("#detail").hidden);
    await holds(page, () => document.activeElement.closest("#rows"));
    await says(page.locator("#pause"), "Pause");
    await press("p");
    await says(page.locator("#pause"), "Go on");
    await press("?");
    await page.getByRole("heading", { name: "Keys" }).waitFor();
    await press("Escape");
    await close(page);
  });

  const SCREENS = {
    light: { colorScheme: "light" },
    dark: { colorScheme: "dark" },
    phone: {
      colorScheme: "light",
      viewport: { width: 390, height: 844 },
      hasTouch: true,
      isMobile: true,
    },
  };
  const VIEWS = { fleet: "#shards td", rules: "#rules-content td", start: "#start-content button" };

  for (const [name, options] of Object.entries(SCREENS)) {
    test(`has no serious fault of accessibility: ${name}`, async () => {
      const page = await tab(chromium, run, options);
      await rows(page).first().waitFor();
      await page.locator("#throughput path").first().waitFor();
      await picture(page, name);
      assert.deepEqual(await faults(page), [], "events");
      await page.locator(".count.bad").click();
      await holds(page, allBad);
      await first(page).click();
      await page.locator("#detail .wrongs").first().waitFor();
      await picture(page, `${name}-failed`);
      assert.deepEqual(await faults(page), [], "an open event");
      await page.keyboard.press("Escape");
      for (const [view, ready] of Object.entries(VIEWS)) {
        await page.goto(`${run.address}/#/${view}`);
        await page.locator(ready).first().waitFor();
        await picture(page, `${name}-${view}`);
        assert.deepEqual(await faults(page), [], view);
        const wide = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        );
        assert.ok(wide <= 0, `${view} is ${wide} pixels too wide`);
      }
      await close(page);
    });
  }

  test("tells several tabs the same", async () => {
    const [one, two] = [await tab(chromium, run), await tab(chromium, run)];
    await run.send([pageView("two-tabs")]);
    for (const page of [one, two]) await says(rows(page).first(), /shop\.test\/two-tabs/);
    await close(one);
    await run.send([pageView("one-tab")]);
    await says(rows(two).first(), /shop\.test\/one-tab/);
    await close(two);
  });

  test("shows shards with their owners, and where schemas and enrichments are from", async () => {
    const page = await tab(chromium, run, { view: "fleet" });
    await holds(page, () => document.querySelectorAll("#shards tbody tr").length === 4);
    await says(page.locator("#shards tbody tr").first(), /shardId-000000000000.*worker [12]/s);
    await page.locator("nav").getByText("Schemas and enrichments").click();
    await says(
      page.locator("#rules-content"),
      /com\.acme\/cart\/jsonschema\/1-0-0.*Schemas Folder/s,
    );
    await button(page, `Show ${CUSTOMER}`).click();
    await says(page.locator("tr.text"), /gold/);
    await close(page);
  });

  test("shows a hostile payload as text, everywhere", async () => {
    const markup = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>';
    const evil = `${markup}\u001b[31mred\u001b[0m\u0007 \u202eesrever\u2066`;
    const schema = "iglu:com.acme/cart<b>/jsonschema/1-0-0";
    const all = { aid: evil, page: evil, uid: evil, ua: evil, refr: evil };
    await run.send([
      pageView("evil", all),
      selfDescribing(
        CART,
        { price: evil, [evil]: evil },
        { ...all, co: entities([CUSTOMER, { tier: evil }]) },
      ),
      selfDescribing(schema, { [evil]: evil }, { aid: "evil", eid: evil }),
      { e: evil, aid: "evil" },
    ]);
    const page = await tab(chromium, run, { view: "events?text=window.pwned" });
    await holds(page, () => document.querySelectorAll("#rows tr").length >= 5);
    // Nothing is made of it, nothing of it is unseen, and nothing of it ran.
    const harm = () =>
      page.evaluate(() => {
        const made = document.querySelectorAll(
          "main :is(img, script, iframe, b, style), [onerror]",
        );
        const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
        const areas = [...document.querySelectorAll("textarea")].map(({ value }) => value);
        const options = [...document.querySelectorAll("option")].map(({ text }) => text);
        const texts = [document.body.innerText, ...areas, ...options];
        return [
          made.length,
          texts.filter((text) => unseen.test(text)).length,
          window.pwned ?? null,
        ];
      });
    for (let at = 0; at < (await rows(page).count()); at++) {
      await rows(page).nth(at).locator("button").click();
      await page.locator("#detail header .facts").waitFor();
      await holds(page, () => {
        for (const part of document.querySelectorAll("#detail details")) part.open = true;
        return document.querySelectorAll("#detail details:not([open])").length === 0;
      });
      assert.deepEqual(await harm(), [0, 0, null], `row ${at}`);
      if (at === 0) await picture(page, "hostile");
      await page.keyboard.press("Escape");
    }
    await page.locator("#app").focus();
    await holds(page, () =>
      [...document.querySelector("#app").options].some(({ text }) => text.includes("<img")),
    );
    assert.match(await page.locator("#rows").innerText(), /<img src=x/);
    assert.deepEqual(await harm(), [0, 0, null], "filters");
    for (const view of Object.keys(VIEWS)) {
      await page.goto(`${run.address}/#/${view}`);
      await page.locator(VIEWS[view]).first().waitFor();
      assert.deepEqual(await harm(), [0, 0, null], view);
    }
    await close(page);
  });

  test("stays quick with 100,000 events", { skip: process.env.QUICK }, async () => {
    for (let part = 0; part < 1000; part++) {
      const events = Array.from({ length: 100 }, (_, n) => pageView(`many/${part * 100 + n}`));
      await run.send(events, { wait: part % 50 === 49 });
    }
    await run.settled();
    const page = await tab(chromium, run);
    await says(page.locator("#listed"), /of 100,000 kept events/);
    // From a click or a key to the frame that shows what came of it, as the page itself sees it.
    const time = ([selector, value, ready, many]) => {
      const start = performance.now();
      const element = document.querySelector(selector);
      if (value === null) {
        element.click();
      } else {
        element.value = value;
        element.dispatchEvent(new Event("input", { bubbles: true }));
      }
      return new Promise((resolve) => {
        const look = () => {
          if (document.querySelectorAll(ready).length !== many) return requestAnimationFrame(look);
          resolve(performance.now() - start);
        };
        requestAnimationFrame(look);
      });
    };
    const times = [];
    for (const [name, ...act] of [
      ["a verdict that none has", ".count.parked", null, "#rows tr", 0],
      ["all of them again", ".count.parked", null, "#rows tr", 60],
      ["a text that one has", "#text", "many/77777", "#rows tr", 1],
      ["an event opened", "#rows button", null, "#detail .steps", 1],
      ["and closed", "#detail header button", null, "#detail[hidden]", 1],
    ]) {
      times.push(`${name} ${(await page.evaluate(time, act)).toFixed(0)} ms`);
    }
    console.log(`with 100,000 events: ${times.join(", ")}`);
    const made = await page.locator("body *").count();
    assert.ok(made < 5000, `${made} elements: what is kept is not all in the page`);
    await close(page);
  });
});
