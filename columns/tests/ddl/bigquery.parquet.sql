CREATE EXTERNAL TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` STRING OPTIONS (description = 'The application or site that sent the event.'),
  `collector_tstamp` TIMESTAMP OPTIONS (description = 'When the collector received the event.'),
  `tr_total` NUMERIC(18, 2) OPTIONS (description = 'The total of a transaction, in tr_currency.'),
  `br_cookies` BOOL OPTIONS (description = 'Whether the browser takes cookies.'),
  `event_name` STRING OPTIONS (description = 'The name of the event\'s schema: what happened.'),
  `load_tstamp` TIMESTAMP OPTIONS (description = 'When the event was processed: tables are divided by its days.'),
  `contexts_com_acme_cart_1` ARRAY<STRUCT<`_schema_version` STRING, `any` STRING, `count` INT64, `due` DATE, `items` ARRAY<STRUCT<`gift` BOOL, `order` INT64, `sku` STRING>>, `ratio` FLOAT64, `seen` TIMESTAMP, `total_price` NUMERIC(9, 2)>> OPTIONS (description = 'A user\'s "cart"; -- `x` \\\' /* */'),
  `unstruct_event_com_acme_cart_1` STRUCT<`any` STRING, `count` INT64, `due` DATE, `items` ARRAY<STRUCT<`gift` BOOL, `order` INT64, `sku` STRING>>, `ratio` FLOAT64, `seen` TIMESTAMP, `total_price` NUMERIC(9, 2)> OPTIONS (description = 'A user\'s "cart"; -- `x` \\\' /* */')
)
WITH PARTITION COLUMNS (`load_date` DATE)
WITH CONNECTION `aws-us-east-1.snowmelt`
OPTIONS (
  format = 'PARQUET',
  enable_list_inference = TRUE,
  uris = ['s3://bucket/events/*'],
  hive_partition_uri_prefix = 's3://bucket/events',
  description = 'It\'s a table.'
);
