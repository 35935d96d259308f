-- It's a table.
CREATE EXTERNAL TABLE "snowmelt"."events" (
  "app_id" varchar(65535), -- The application or site that sent the event.
  "collector_tstamp" timestamp, -- When the collector received the event.
  "tr_total" decimal(18,2), -- The total of a transaction, in tr_currency.
  "br_cookies" boolean, -- Whether the browser takes cookies.
  "event_name" varchar(65535), -- The name of the event's schema: what happened.
  "load_tstamp" timestamp, -- When the event was processed: tables are divided by its days.
  "contexts_com_acme_cart_1" array<struct<"_schema_version":varchar(65535), "any":varchar(65535), "count":int, "due":date, "items":array<struct<"gift":boolean, "order":bigint, "sku":varchar(65535)>>, "ratio":double precision, "seen":timestamp, "total_price":decimal(9,2)>>, -- A user's "cart"; -- `x` \' /* */
  "unstruct_event_com_acme_cart_1" struct<"any":varchar(65535), "count":int, "due":date, "items":array<struct<"gift":boolean, "order":bigint, "sku":varchar(65535)>>, "ratio":double precision, "seen":timestamp, "total_price":decimal(9,2)> -- A user's "cart"; -- `x` \' /* */
)
PARTITIONED BY ("load_date" date)
STORED AS PARQUET
LOCATION 's3://bucket/events/';
-- Each folder has to be made known, or its partition by a crawler:
-- ALTER TABLE "snowmelt"."events" ADD IF NOT EXISTS PARTITION ("load_date" = '…') LOCATION 's3://bucket/events/load_date=…/';
