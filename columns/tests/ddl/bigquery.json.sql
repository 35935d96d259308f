CREATE EXTERNAL TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` STRING OPTIONS (description = 'The application or site that sent the event.'),
  `collector_tstamp` TIMESTAMP OPTIONS (description = 'When the collector received the event.'),
  `tr_total` NUMERIC(18, 2) OPTIONS (description = 'The total of a transaction, in tr_currency.'),
  `br_cookies` BOOL OPTIONS (description = 'Whether the browser takes cookies.'),
  `contexts_com_acme_cart_1` JSON OPTIONS (description = 'A user\'s "cart"; -- `x` \\\' /* */'),
  `unstruct_event_com_acme_cart_1` JSON OPTIONS (description = 'A user\'s "cart"; -- `x` \\\' /* */')
)
WITH PARTITION COLUMNS (`load_date` DATE, `event_name` STRING)
WITH CONNECTION `aws-us-east-1.snowmelt`
OPTIONS (
  format = 'NEWLINE_DELIMITED_JSON',
  ignore_unknown_values = TRUE,
  uris = ['s3://bucket/events/*'],
  hive_partition_uri_prefix = 's3://bucket/events',
  description = 'It\'s a table.'
);
