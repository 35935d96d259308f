// What the tests track, by the tracker for browsers in a page of another origin:
// browser.mjs MODULES HOST PORT METHOD CHROMIUM. The page stays open until the events have come.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";

const [modules, host, port, method, chromium] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const bundle = require
  .resolve("@snowplow/browser-tracker")
  .replace(/[^/]*$/, "index.umd.min.js");
const collector = `http://${host}:${port}`;

const page = `<!doctype html><meta charset="utf-8"><title>Cart</title><script src="/tracker.js"></script>
<script>
  const { newTracker, setCustomUrl, setReferrerUrl, setUserId, trackPageView,
          trackSelfDescribingEvent, trackStructEvent } = snowplowBrowserTracking;
  newTracker("ours", "${collector}", {
    appId: "browser-${method}", eventMethod: "${method}", encodeBase64: ${method === "get"},
  });
  setUserId("user-1");
  setCustomUrl("https://shop.test/cart?step=2#top");
  setReferrerUrl("https://news.test/");
  trackPageView();
  trackStructEvent({
    category: "cart", action: "add", label: "Zoë 日本 😀", property: "red", value: 9.75,
  });
  trackSelfDescribingEvent({
    event: { schema: "iglu:com.acme/checkout/jsonschema/1-0-0", data: { total: 12.5, items: 3 } },
    context: [{ schema: "iglu:com.acme/user/jsonschema/1-0-0", data: { tier: "gold" } }],
  });
</script>`;

const server = createServer((request, response) => {
  if (request.url === "/tracker.js") {
    response.setHeader("Content-Type", "text/javascript; charset=utf-8");
    response.end(readFileSync(bundle));
  } else {
    response.setHeader("Content-Type", "text/html; charset=utf-8");
    response.end(page);
  }
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const browser = await require("playwright-core").chromium.launch({
  executablePath: chromium,
  args: ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1"],
});
try {
  const context = await browser.newContext({
    locale: "en-GB",
    timezoneId: "Europe/London",
    screen: { width: 1920, height: 1080 },
  });
  const tab = await context.newPage();
  const said = [];
  tab.on("console", (message) => said.push(message.text()));
  tab.on("pageerror", (error) => said.push(String(error)));
  await tab.goto(`http://localhost:${server.address().port}/`);
  const question = `${collector}/events?wait=3&app=browser-${method}&timeout=30`;
  const answer = await (await fetch(question)).json();
  if (!answer.complete || said.length > 0) {
    throw new Error(`${answer.events.length} events came; the page said: ${said.join("\n")}`);
  }
} finally {
  await browser.close();
  server.close();
}
