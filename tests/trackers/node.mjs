// What the tests track, by the tracker for Node: node.mjs MODULES HOST PORT METHOD, where MODULES is
// the folder that npm installed into.
import { createRequire } from "node:module";

const [modules, host, port, method] = process.argv.slice(2);
const require = createRequire(`${modules}/package.json`);
const { buildPageView, buildSelfDescribingEvent, buildStructEvent, newTracker } = require(
  "@snowplow/node-tracker",
);

const tracker = newTracker(
  { namespace: "ours", appId: `node-${method}`, encodeBase64: method === "get" },
  { endpoint: `http://${host}:${port}`, eventMethod: method, bufferSize: 1 },
);
tracker.setUserId("user-1");
tracker.setTimezone("Europe/London");
tracker.setLang("en-GB");
tracker.setScreenResolution(1920, 1080);
tracker.track(
  buildPageView({
    pageUrl: "https://shop.test/cart?step=2#top",
    pageTitle: "Cart",
    referrer: "https://news.test/",
  }),
);
tracker.track(
  buildStructEvent({
    category: "cart",
    action: "add",
    label: "Zoë 日本 😀",
    property: "red",
    value: 9.75,
  }),
);
tracker.track(
  buildSelfDescribingEvent({
    event: {
      schema: "iglu:com.acme/checkout/jsonschema/1-0-0",
      data: { total: 12.5, items: 3 },
    },
  }),
  [{ schema: "iglu:com.acme/user/jsonschema/1-0-0", data: { tier: "gold" } }],
);
await tracker.flush();
