CREATE SCHEMA IF NOT EXISTS "snowmelt";
CREATE OR REPLACE VIEW "snowmelt"."events" AS
SELECT * FROM read_csv('s3://bucket/events/**/*.tsv*', delim = '	', header = false, quote = '', escape = '',
  nullstr = '', max_line_size = 16777216, columns = {
  'app_id': 'VARCHAR',
  'collector_tstamp': 'TIMESTAMP',
  'contexts': 'JSON',
  'tr_total': 'DECIMAL(18, 2)',
  'br_cookies': 'BOOLEAN',
  'event_name': 'VARCHAR'
});
COMMENT ON VIEW "snowmelt"."events" IS 'It''s a table.';
COMMENT ON COLUMN "snowmelt"."events"."app_id" IS 'The application or site that sent the event.';
COMMENT ON COLUMN "snowmelt"."events"."collector_tstamp" IS 'When the collector received the event.';
COMMENT ON COLUMN "snowmelt"."events"."contexts" IS 'The entities that the tracker attached, self-describing.';
COMMENT ON COLUMN "snowmelt"."events"."tr_total" IS 'The total of a transaction, in tr_currency.';
COMMENT ON COLUMN "snowmelt"."events"."br_cookies" IS 'Whether the browser takes cookies.';
COMMENT ON COLUMN "snowmelt"."events"."event_name" IS 'The name of the event''s schema: what happened.';
