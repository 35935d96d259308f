-- It's a table.
-- The table is read from the catalog of Glue, as "snowmelt"."events".
CREATE EXTERNAL SCHEMA IF NOT EXISTS "snowmelt"
FROM DATA CATALOG DATABASE 'snowmelt'
IAM_ROLE default;
