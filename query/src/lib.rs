//! SQL over what the workers wrote: Parquet files of a folder or a bucket, and Iceberg tables.
