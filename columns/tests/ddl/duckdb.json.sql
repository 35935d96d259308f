CREATE SCHEMA IF NOT EXISTS "snowmelt";
CREATE OR REPLACE VIEW "snowmelt"."events" AS
SELECT * FROM read_json('s3://bucket/events/**/*.json*', format = 'newline_delimited',
  maximum_object_size = 16777216, hive_partitioning = true, columns = {
  'app_id': 'VARCHAR',
  'collector_tstamp': 'TIMESTAMP',
  'tr_total': 'DECIMAL(18, 2)',
  'br_cookies': 'BOOLEAN',
  'contexts_com_acme_cart_1': 'JSON',
  'unstruct_event_com_acme_cart_1': 'JSON'
});
COMMENT ON VIEW "snowmelt"."events" IS 'It''s a table.';
COMMENT ON COLUMN "snowmelt"."events"."app_id" IS 'The application or site that sent the event.';
COMMENT ON COLUMN "snowmelt"."events"."collector_tstamp" IS 'When the collector received the event.';
COMMENT ON COLUMN "snowmelt"."events"."tr_total" IS 'The total of a transaction, in tr_currency.';
COMMENT ON COLUMN "snowmelt"."events"."br_cookies" IS 'Whether the browser takes cookies.';
COMMENT ON COLUMN "snowmelt"."events"."contexts_com_acme_cart_1" IS 'A user''s "cart"; -- `x` \'' /* */';
COMMENT ON COLUMN "snowmelt"."events"."unstruct_event_com_acme_cart_1" IS 'A user''s "cart"; -- `x` \'' /* */';
