-- One row for each session, as trackers cut them (half an hour without an event ends one), with
-- its pages, the time of looking and the channel that it came by.
WITH ordered AS (
  SELECT
    domain_sessionid, domain_userid, domain_sessionidx, app_id, derived_tstamp, geo_country,
    page_urlhost, page_urlpath, refr_medium, refr_urlhost, mkt_medium, mkt_source, mkt_campaign,
    row_number() OVER (PARTITION BY domain_sessionid ORDER BY derived_tstamp, event_id) AS place,
    row_number() OVER (
      PARTITION BY domain_sessionid ORDER BY derived_tstamp DESC, event_id DESC
    ) AS place_from_end
  FROM {{ ref('stg_events') }}
  WHERE domain_sessionid IS NOT NULL
),

bounds AS (
  SELECT
    domain_sessionid,
    min(derived_tstamp) AS started_at,
    max(derived_tstamp) AS ended_at,
    count(*) AS events
  FROM ordered
  GROUP BY domain_sessionid
),

looked AS (
  SELECT domain_sessionid, count(*) AS page_views, sum(engaged_seconds) AS engaged_seconds
  FROM {{ ref('page_views') }}
  GROUP BY domain_sessionid
)

SELECT
  bounds.domain_sessionid, landing.domain_userid, landing.app_id, landing.geo_country,
  bounds.started_at, bounds.ended_at, bounds.events,
  coalesce(looked.page_views, 0) AS page_views,
  coalesce(looked.engaged_seconds, 0) AS engaged_seconds,
  landing.domain_sessionidx = 1 AS is_first,
  landing.page_urlhost AS landing_host, landing.page_urlpath AS landing_path,
  leaving.page_urlpath AS exit_path,
  landing.mkt_source, landing.mkt_campaign,
  -- What somebody paid for or wrote into a link says more than where the link was.
  CASE
    WHEN landing.mkt_medium IS NOT NULL THEN landing.mkt_medium
    WHEN landing.refr_medium IN ('search', 'social', 'email') THEN landing.refr_medium
    WHEN landing.refr_medium = 'internal' THEN 'direct'
    WHEN landing.refr_urlhost IS NULL OR landing.refr_urlhost = landing.page_urlhost THEN 'direct'
    ELSE 'referral'
  END AS channel
FROM bounds
JOIN ordered AS landing
  ON landing.domain_sessionid = bounds.domain_sessionid AND landing.place = 1
JOIN ordered AS leaving
  ON leaving.domain_sessionid = bounds.domain_sessionid AND leaving.place_from_end = 1
LEFT JOIN looked ON looked.domain_sessionid = bounds.domain_sessionid
