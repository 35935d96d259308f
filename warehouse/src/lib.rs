//! Enriched events as typed columns: Arrow record batches, and Parquet files of them.
