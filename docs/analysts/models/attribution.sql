-- One row for each conversion: the first session of its visitor within the days that are looked
-- back, and the last that was not direct, or else the last of all.
WITH conversions AS (
  SELECT event_id, event_name, derived_tstamp AS converted_at, domain_userid
  FROM {{ ref('stg_events') }}
  WHERE event_name IN ('{{ var("conversions") | join("', '") }}')
),

touches AS (
  SELECT
    conversions.event_id,
    sessions.channel, sessions.mkt_campaign,
    row_number() OVER (
      PARTITION BY conversions.event_id
      ORDER BY sessions.started_at, sessions.domain_sessionid
    ) AS place,
    row_number() OVER (
      PARTITION BY conversions.event_id
      ORDER BY
        CASE WHEN sessions.channel = 'direct' THEN 1 ELSE 0 END,
        sessions.started_at DESC, sessions.domain_sessionid
    ) AS place_from_end
  FROM conversions
  JOIN {{ ref('sessions') }} AS sessions
    ON sessions.domain_userid = conversions.domain_userid
    AND sessions.started_at <= conversions.converted_at
    AND {{ dbt.datediff('sessions.started_at', 'conversions.converted_at', 'day') }}
      <= {{ var('lookback_days') }}
)

SELECT
  conversions.event_id, conversions.event_name, conversions.converted_at, conversions.domain_userid,
  coalesce(first_touch.channel, 'unknown') AS first_channel,
  first_touch.mkt_campaign AS first_campaign,
  coalesce(last_touch.channel, 'unknown') AS last_channel,
  last_touch.mkt_campaign AS last_campaign
FROM conversions
LEFT JOIN touches AS first_touch
  ON first_touch.event_id = conversions.event_id AND first_touch.place = 1
LEFT JOIN touches AS last_touch
  ON last_touch.event_id = conversions.event_id AND last_touch.place_from_end = 1
