CREATE SCHEMA IF NOT EXISTS "snowmelt";
INSTALL iceberg;
LOAD iceberg;
SET unsafe_enable_version_guessing = true;
CREATE OR REPLACE VIEW "snowmelt"."events" AS
SELECT * FROM iceberg_scan('s3://bucket/events', allow_moved_paths = true);
COMMENT ON VIEW "snowmelt"."events" IS 'It''s a table.';
