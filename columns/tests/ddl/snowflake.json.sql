-- The storage integration has to be made before, by an administrator.
CREATE STAGE IF NOT EXISTS events_files
  URL = 's3://bucket/events/'
  STORAGE_INTEGRATION = snowmelt;
CREATE EXTERNAL TABLE IF NOT EXISTS snowmelt.events (
  load_date date AS (split_part(split_part(metadata$filename, 'load_date=', 2), '/', 1)::date),
  event_name varchar AS (split_part(split_part(metadata$filename, 'event_name=', 2), '/', 1)::varchar),
  app_id varchar AS (value:"app_id"::varchar) COMMENT 'The application or site that sent the event.',
  collector_tstamp timestamp_ntz AS (value:"collector_tstamp"::timestamp_ntz) COMMENT 'When the collector received the event.',
  tr_total number(18,2) AS (value:"tr_total"::number(18,2)) COMMENT 'The total of a transaction, in tr_currency.',
  br_cookies boolean AS (value:"br_cookies"::boolean) COMMENT 'Whether the browser takes cookies.',
  contexts_com_acme_cart_1 variant AS (value:"contexts_com_acme_cart_1"::variant) COMMENT 'A user\'s "cart"; -- `x` \\\' /* */',
  unstruct_event_com_acme_cart_1 variant AS (value:"unstruct_event_com_acme_cart_1"::variant) COMMENT 'A user\'s "cart"; -- `x` \\\' /* */'
)
PARTITION BY (load_date, event_name)
LOCATION = @events_files/
AUTO_REFRESH = FALSE
FILE_FORMAT = (TYPE = JSON)
COMMENT = 'It\'s a table.';
