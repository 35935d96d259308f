//! Iceberg tables that hold every event once: catalogs, storage, and commits that carry the
//! position of each shard.
