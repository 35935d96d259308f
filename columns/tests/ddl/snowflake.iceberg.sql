-- The external volume and the integration of the catalog have to be made before.
CREATE ICEBERG TABLE IF NOT EXISTS snowmelt.events
  EXTERNAL_VOLUME = 'snowmelt'
  CATALOG = 'snowmelt'
  CATALOG_NAMESPACE = 'snowmelt'
  CATALOG_TABLE_NAME = 'events'
  COMMENT = 'It\'s a table.';
