-- One row for each page that was looked at. Trackers send a page ping every so many seconds while
-- somebody does something: the number of pings is the time of looking, to that precision.
WITH pages AS (
  SELECT
    page_view_id, app_id, domain_userid, domain_sessionid, derived_tstamp AS viewed_at,
    page_title, page_urlhost, page_urlpath,
    row_number() OVER (PARTITION BY page_view_id ORDER BY derived_tstamp, event_id) AS place
  FROM {{ ref('stg_events') }}
  WHERE event_name = 'page_view' AND page_view_id IS NOT NULL
),

looking AS (
  SELECT
    page_view_id,
    max(derived_tstamp) AS left_at,
    count(*) * {{ var('heartbeat_seconds') }} AS engaged_seconds,
    max(least(1.0, (pp_yoffset_max + br_viewheight) * 1.0 / nullif(doc_height, 0))) AS depth
  FROM {{ ref('stg_events') }}
  WHERE event_name = 'page_ping' AND page_view_id IS NOT NULL
  GROUP BY page_view_id
)

SELECT
  pages.page_view_id, pages.app_id, pages.domain_userid, pages.domain_sessionid, pages.viewed_at,
  coalesce(looking.left_at, pages.viewed_at) AS left_at,
  pages.page_title, pages.page_urlhost, pages.page_urlpath,
  coalesce(looking.engaged_seconds, 0) AS engaged_seconds,
  looking.depth
FROM pages
LEFT JOIN looking ON looking.page_view_id = pages.page_view_id
WHERE pages.place = 1
