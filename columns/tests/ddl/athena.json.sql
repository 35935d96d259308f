CREATE EXTERNAL TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` string COMMENT 'The application or site that sent the event.',
  `collector_tstamp` string COMMENT 'When the collector received the event.',
  `tr_total` decimal(18,2) COMMENT 'The total of a transaction, in tr_currency.',
  `br_cookies` boolean COMMENT 'Whether the browser takes cookies.',
  `contexts_com_acme_cart_1` string COMMENT 'A user’s "cart"; -- `x` /’ /* */',
  `unstruct_event_com_acme_cart_1` string COMMENT 'A user’s "cart"; -- `x` /’ /* */'
)
COMMENT 'It’s a table.'
PARTITIONED BY (`load_date` date, `event_name` string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
WITH SERDEPROPERTIES ('case.insensitive' = 'FALSE')
STORED AS TEXTFILE
LOCATION 's3://bucket/events/'
TBLPROPERTIES (
  'classification' = 'json'
);
MSCK REPAIR TABLE `snowmelt`.`events`;
