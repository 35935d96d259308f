CREATE SCHEMA IF NOT EXISTS "snowmelt";
CREATE OR REPLACE VIEW "snowmelt"."events" AS
SELECT
  NULL::VARCHAR AS "app_id",
  NULL::TIMESTAMPTZ AS "collector_tstamp",
  NULL::DECIMAL(18, 2) AS "tr_total",
  NULL::BOOLEAN AS "br_cookies",
  NULL::VARCHAR AS "event_name",
  NULL::TIMESTAMPTZ AS "load_tstamp",
  NULL::STRUCT("_schema_version" VARCHAR, "any" VARCHAR, "count" INTEGER, "due" DATE, "items" STRUCT("gift" BOOLEAN, "order" BIGINT, "sku" VARCHAR)[], "ratio" DOUBLE, "seen" TIMESTAMPTZ, "total_price" DECIMAL(9, 2))[] AS "contexts_com_acme_cart_1",
  NULL::STRUCT("any" VARCHAR, "count" INTEGER, "due" DATE, "items" STRUCT("gift" BOOLEAN, "order" BIGINT, "sku" VARCHAR)[], "ratio" DOUBLE, "seen" TIMESTAMPTZ, "total_price" DECIMAL(9, 2)) AS "unstruct_event_com_acme_cart_1"
WHERE false
UNION ALL BY NAME
SELECT * FROM read_parquet('s3://bucket/events/**/*.parquet', union_by_name = true, hive_partitioning = true);
COMMENT ON VIEW "snowmelt"."events" IS 'It''s a table.';
COMMENT ON COLUMN "snowmelt"."events"."app_id" IS 'The application or site that sent the event.';
COMMENT ON COLUMN "snowmelt"."events"."collector_tstamp" IS 'When the collector received the event.';
COMMENT ON COLUMN "snowmelt"."events"."tr_total" IS 'The total of a transaction, in tr_currency.';
COMMENT ON COLUMN "snowmelt"."events"."br_cookies" IS 'Whether the browser takes cookies.';
COMMENT ON COLUMN "snowmelt"."events"."event_name" IS 'The name of the event''s schema: what happened.';
COMMENT ON COLUMN "snowmelt"."events"."load_tstamp" IS 'When the event was processed: tables are divided by its days.';
COMMENT ON COLUMN "snowmelt"."events"."contexts_com_acme_cart_1" IS 'A user''s "cart"; -- `x` \'' /* */';
COMMENT ON COLUMN "snowmelt"."events"."unstruct_event_com_acme_cart_1" IS 'A user''s "cart"; -- `x` \'' /* */';
