-- It's a table.
CREATE EXTERNAL TABLE "snowmelt"."events" (
  "app_id" varchar(65535), -- The application or site that sent the event.
  "collector_tstamp" timestamp, -- When the collector received the event.
  "contexts" varchar(65535), -- The entities that the tracker attached, self-describing.
  "tr_total" decimal(18,2), -- The total of a transaction, in tr_currency.
  "br_cookies" smallint, -- Whether the browser takes cookies.
  "event_name" varchar(65535) -- The name of the event's schema: what happened.
)
ROW FORMAT DELIMITED FIELDS TERMINATED BY '\t'
STORED AS TEXTFILE
LOCATION 's3://bucket/events/'
TABLE PROPERTIES ('serialization.null.format' = '');
