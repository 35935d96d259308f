-- The storage integration has to be made before, by an administrator.
CREATE STAGE IF NOT EXISTS events_files
  URL = 's3://bucket/events/'
  STORAGE_INTEGRATION = snowmelt;
CREATE EXTERNAL TABLE IF NOT EXISTS snowmelt.events (
  app_id varchar AS (value:c1::varchar::varchar) COMMENT 'The application or site that sent the event.',
  collector_tstamp timestamp_ntz AS (value:c2::varchar::timestamp_ntz) COMMENT 'When the collector received the event.',
  contexts variant AS (parse_json(value:c3::varchar)) COMMENT 'The entities that the tracker attached, self-describing.',
  tr_total number(18,2) AS (value:c4::varchar::number(18,2)) COMMENT 'The total of a transaction, in tr_currency.',
  br_cookies boolean AS (value:c5::varchar::boolean) COMMENT 'Whether the browser takes cookies.',
  event_name varchar AS (value:c6::varchar::varchar) COMMENT 'The name of the event\'s schema: what happened.'
)
LOCATION = @events_files/
AUTO_REFRESH = FALSE
FILE_FORMAT = (TYPE = CSV FIELD_DELIMITER = '\t' NULL_IF = ('') EMPTY_FIELD_AS_NULL = TRUE ESCAPE = NONE ESCAPE_UNENCLOSED_FIELD = NONE)
COMMENT = 'It\'s a table.';
