CREATE TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` STRING COMMENT 'The application or site that sent the event.',
  `collector_tstamp` TIMESTAMP COMMENT 'When the collector received the event.',
  `tr_total` DECIMAL(18, 2) COMMENT 'The total of a transaction, in tr_currency.',
  `br_cookies` BOOLEAN COMMENT 'Whether the browser takes cookies.',
  `event_name` STRING COMMENT 'The name of the event\'s schema: what happened.',
  `load_tstamp` TIMESTAMP COMMENT 'When the event was processed: tables are divided by its days.',
  `contexts_com_acme_cart_1` ARRAY<STRUCT<`_schema_version`: STRING, `any`: STRING, `count`: INT, `due`: DATE, `items`: ARRAY<STRUCT<`gift`: BOOLEAN, `order`: BIGINT, `sku`: STRING>>, `ratio`: DOUBLE, `seen`: TIMESTAMP, `total_price`: DECIMAL(9, 2)>> COMMENT 'A user\'s "cart"; -- `x` \\\' /* */',
  `unstruct_event_com_acme_cart_1` STRUCT<`any`: STRING, `count`: INT, `due`: DATE, `items`: ARRAY<STRUCT<`gift`: BOOLEAN, `order`: BIGINT, `sku`: STRING>>, `ratio`: DOUBLE, `seen`: TIMESTAMP, `total_price`: DECIMAL(9, 2)> COMMENT 'A user\'s "cart"; -- `x` \\\' /* */'
)
USING iceberg
PARTITIONED BY (days(`load_tstamp`))
LOCATION 's3://bucket/events'
COMMENT 'It\'s a table.';
