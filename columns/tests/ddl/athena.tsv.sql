CREATE EXTERNAL TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` string COMMENT 'The application or site that sent the event.',
  `collector_tstamp` timestamp COMMENT 'When the collector received the event.',
  `contexts` string COMMENT 'The entities that the tracker attached, self-describing.',
  `tr_total` decimal(18,2) COMMENT 'The total of a transaction, in tr_currency.',
  `br_cookies` tinyint COMMENT 'Whether the browser takes cookies.',
  `event_name` string COMMENT 'The name of the event’s schema: what happened.'
)
COMMENT 'It’s a table.'
ROW FORMAT DELIMITED FIELDS TERMINATED BY '\t' LINES TERMINATED BY '\n'
STORED AS TEXTFILE
LOCATION 's3://bucket/events/'
TBLPROPERTIES (
  'classification' = 'csv',
  'serialization.null.format' = ''
);
