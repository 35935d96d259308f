CREATE TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` STRING COMMENT 'The application or site that sent the event.',
  `collector_tstamp` TIMESTAMP COMMENT 'When the collector received the event.',
  `tr_total` DECIMAL(18, 2) COMMENT 'The total of a transaction, in tr_currency.',
  `br_cookies` BOOLEAN COMMENT 'Whether the browser takes cookies.',
  `contexts_com_acme_cart_1` STRING COMMENT 'A user\'s "cart"; -- `x` \\\' /* */',
  `unstruct_event_com_acme_cart_1` STRING COMMENT 'A user\'s "cart"; -- `x` \\\' /* */',
  `load_date` DATE,
  `event_name` STRING
)
USING json
PARTITIONED BY (`load_date`, `event_name`)
LOCATION 's3://bucket/events'
COMMENT 'It\'s a table.';
MSCK REPAIR TABLE `snowmelt`.`events`;
