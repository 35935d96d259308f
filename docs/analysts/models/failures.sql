-- Bad rows by day, application and reason, beside the good events of that day and application:
-- what to look at first, and whether it became more since the last release.
WITH refused AS (
  SELECT
    date_trunc('day', failure_tstamp) AS day,
    coalesce(app_id, 'unknown') AS app_id,
    kind, reason
  FROM {{ source('snowmelt', 'bad') }}
),

good AS (
  SELECT
    date_trunc('day', load_tstamp) AS day,
    coalesce(app_id, 'unknown') AS app_id,
    count(*) AS good_events
  FROM {{ ref('stg_events') }}
  GROUP BY 1, 2
),

counted AS (
  SELECT day, app_id, kind, reason, count(*) AS failures
  FROM refused
  GROUP BY 1, 2, 3, 4
)

SELECT
  counted.day, counted.app_id, counted.kind, counted.reason, counted.failures,
  coalesce(good.good_events, 0) AS good_events,
  counted.failures * 1.0 / (counted.failures + coalesce(good.good_events, 0)) AS share
FROM counted
LEFT JOIN good ON good.day = counted.day AND good.app_id = counted.app_id
