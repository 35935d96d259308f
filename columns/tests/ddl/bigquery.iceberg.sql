-- The newest file of the table's metadata, which changes with every commit.
CREATE EXTERNAL TABLE IF NOT EXISTS `snowmelt`.`events`
WITH CONNECTION `aws-us-east-1.snowmelt`
OPTIONS (
  format = 'ICEBERG',
  uris = ['s3://bucket/events/metadata/….metadata.json'],
  description = 'It\'s a table.'
);
