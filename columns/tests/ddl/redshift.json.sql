-- It's a table.
CREATE TABLE IF NOT EXISTS "snowmelt"."events" (
  "app_id" varchar(65535), -- The application or site that sent the event.
  "collector_tstamp" timestamp, -- When the collector received the event.
  "tr_total" decimal(18,2), -- The total of a transaction, in tr_currency.
  "br_cookies" boolean, -- Whether the browser takes cookies.
  "event_name" varchar(65535), -- The name of the event's schema: what happened.
  "contexts_com_acme_cart_1" super, -- A user's "cart"; -- `x` \' /* */
  "unstruct_event_com_acme_cart_1" super -- A user's "cart"; -- `x` \' /* */
);
COPY "snowmelt"."events" FROM 's3://bucket/events/'
FORMAT JSON 'auto' TIMEFORMAT 'auto' IAM_ROLE default;
