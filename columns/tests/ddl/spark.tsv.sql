CREATE TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` STRING COMMENT 'The application or site that sent the event.',
  `collector_tstamp` TIMESTAMP COMMENT 'When the collector received the event.',
  `contexts` STRING COMMENT 'The entities that the tracker attached, self-describing.',
  `tr_total` DECIMAL(18, 2) COMMENT 'The total of a transaction, in tr_currency.',
  `br_cookies` INT COMMENT 'Whether the browser takes cookies.',
  `event_name` STRING COMMENT 'The name of the event\'s schema: what happened.'
)
USING csv
OPTIONS (sep '\t', header 'false', quote '', nullValue '',
  timestampFormat 'yyyy-MM-dd HH:mm:ss.SSS')
LOCATION 's3://bucket/events'
COMMENT 'It\'s a table.';
