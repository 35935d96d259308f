// What people ask first. Each is an address: it can be opened, changed and passed on.

import { byId, el, refill } from "./dom.js";

export const EXAMPLES = [
  {
    name: "Events per country and hour",
    about: "The country of the address where ip_lookups is on, else of the browser's language",
    sql: `SELECT date_trunc('hour', collector_tstamp) AS hour,
  coalesce(geo_country, nullif(upper(split_part(br_lang, '-', 2)), ''), 'unknown') AS country,
  count(*) AS events
FROM events
GROUP BY 1, 2
ORDER BY 1, 3 DESC`,
    chart: { type: "line", x: "hour", y: "events", series: "country" },
  },
  {
    name: "What failed, and why",
    about: "Bad rows by kind and first reason, the most frequent first",
    sql: `SELECT kind, left(reason, 240) AS reason, app_id, count(*) AS failures,
  max(failure_tstamp) AS last
FROM bad
GROUP BY 1, 2, 3
ORDER BY 4 DESC
LIMIT 100`,
    chart: { type: "bar", x: "kind", y: "failures" },
  },
  {
    name: "Good and failed by hour",
    about: "How much of each hour is good, kept in part, and refused",
    sql: `SELECT hour, outcome, count(*) AS events
FROM (
  SELECT date_trunc('hour', load_tstamp) AS hour, 'enriched' AS outcome FROM events
  UNION ALL
  SELECT date_trunc('hour', load_tstamp), 'failed, kept in part' FROM failed
  UNION ALL
  SELECT date_trunc('hour', load_tstamp), 'bad row' FROM bad
)
GROUP BY 1, 2
ORDER BY 1, 2`,
    chart: { type: "line", x: "hour", y: "events", series: "outcome" },
  },
  {
    name: "Pages by views and visitors",
    about: "The most viewed pages",
    sql: `SELECT page_urlhost, page_urlpath, count(*) AS views,
  count(DISTINCT domain_userid) AS visitors,
  count(DISTINCT domain_sessionid) AS sessions
FROM events
WHERE event_name = 'page_view'
GROUP BY 1, 2
ORDER BY 3 DESC
LIMIT 50`,
    chart: { type: "bar", x: "page_urlpath", y: "views" },
  },
];

/** Shows them as links. */
export function show() {
  const each = EXAMPLES.map(({ name, about, sql, chart }) => {
    const link = el("a", { href: `#${new URLSearchParams({ sql, ...chart })}` }, name);
    return el("li", null, el("span", { class: "what" }, link, el("span", { class: "soft" }, about)));
  });
  refill(byId("examples"), each);
}
