-- Each event once, with the columns that the other models use. A worker that was killed may have
-- written an event twice into files; in an Iceberg table it is there once.
--
-- The id of a page view lies in an entity: the first of a list, which every engine spells its way.
{% set page = 'contexts_com_snowplowanalytics_snowplow_web_page_1' %}
{% set page_view_id = {
    'athena': 'element_at(e.' ~ page ~ ', 1).id',
    'duckdb': 'e.' ~ page ~ '[1].id',
    'redshift': 'page.id',
    'snowflake': 'e.' ~ page ~ '[0]:id::varchar',
}[target.type] %}

WITH every AS (
  SELECT
    e.event_id, e.app_id, e.platform, e.event_name,
    e.collector_tstamp, e.derived_tstamp, e.load_tstamp,
    e.domain_userid, e.domain_sessionid, e.domain_sessionidx, e.user_id,
    {{ page_view_id }} AS page_view_id,
    e.page_title, e.page_urlhost, e.page_urlpath,
    e.refr_medium, e.refr_source, e.refr_urlhost,
    e.mkt_medium, e.mkt_source, e.mkt_campaign,
    e.geo_country, e.br_lang,
    e.pp_yoffset_max, e.br_viewheight, e.doc_height,
    row_number() OVER (PARTITION BY e.event_id ORDER BY e.collector_tstamp, e.load_tstamp) AS copy
  FROM {{ source('snowmelt', 'events') }} AS e
  {% if target.type == 'redshift' %}LEFT JOIN e.{{ page }} AS page ON true{% endif %}
)

SELECT
  event_id, app_id, platform, event_name, collector_tstamp, derived_tstamp, load_tstamp,
  domain_userid, domain_sessionid, domain_sessionidx, user_id, page_view_id,
  page_title, page_urlhost, page_urlpath, refr_medium, refr_source, refr_urlhost,
  mkt_medium, mkt_source, mkt_campaign, geo_country, br_lang,
  pp_yoffset_max, br_viewheight, doc_height
FROM every
WHERE copy = 1
