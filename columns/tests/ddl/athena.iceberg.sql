-- A worker makes its own table, in the catalog of Glue, where Athena finds it.
-- This is for one that something else fills: its instants (UTC) have no zone.
CREATE TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` string COMMENT 'The application or site that sent the event.',
  `collector_tstamp` timestamp COMMENT 'When the collector received the event.',
  `tr_total` decimal(18,2) COMMENT 'The total of a transaction, in tr_currency.',
  `br_cookies` boolean COMMENT 'Whether the browser takes cookies.',
  `event_name` string COMMENT 'The name of the event’s schema: what happened.',
  `load_tstamp` timestamp COMMENT 'When the event was processed: tables are divided by its days.',
  `contexts_com_acme_cart_1` array<struct<`_schema_version`:string,`any`:string,`count`:int,`due`:date,`items`:array<struct<`gift`:boolean,`order`:bigint,`sku`:string>>,`ratio`:double,`seen`:timestamp,`total_price`:decimal(9,2)>> COMMENT 'A user’s "cart"; -- `x` /’ /* */',
  `unstruct_event_com_acme_cart_1` struct<`any`:string,`count`:int,`due`:date,`items`:array<struct<`gift`:boolean,`order`:bigint,`sku`:string>>,`ratio`:double,`seen`:timestamp,`total_price`:decimal(9,2)> COMMENT 'A user’s "cart"; -- `x` /’ /* */'
)
PARTITIONED BY (day(`load_tstamp`))
LOCATION 's3://bucket/events/'
TBLPROPERTIES ('table_type' = 'ICEBERG', 'format' = 'parquet');
