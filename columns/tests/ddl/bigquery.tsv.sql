CREATE EXTERNAL TABLE IF NOT EXISTS `snowmelt`.`events` (
  `app_id` STRING OPTIONS (description = 'The application or site that sent the event.'),
  `collector_tstamp` TIMESTAMP OPTIONS (description = 'When the collector received the event.'),
  `contexts` STRING OPTIONS (description = 'The entities that the tracker attached, self-describing.'),
  `tr_total` NUMERIC(18, 2) OPTIONS (description = 'The total of a transaction, in tr_currency.'),
  `br_cookies` BOOL OPTIONS (description = 'Whether the browser takes cookies.'),
  `event_name` STRING OPTIONS (description = 'The name of the event\'s schema: what happened.')
)
WITH CONNECTION `aws-us-east-1.snowmelt`
OPTIONS (
  format = 'CSV',
  field_delimiter = '\t',
  quote = '',
  uris = ['s3://bucket/events/*'],
  description = 'It\'s a table.'
);
