# Tables over the bucket, for Athena. Partitions are computed from names of objects: nothing has to be
# crawled or repaired.

locals {
  tables = merge(
    var.create_tables ? {
      events = {
        prefix  = "${var.bucket_prefix}enriched/"
        columns = jsondecode(file("${path.module}/events.json"))
        serde   = "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
        serde_parameters = {
          "field.delim"               = "\t"
          "serialization.null.format" = ""
          "timestamp.formats"         = "yyyy-MM-dd HH:mm:ss.SSS"
        }
      }
      bad = {
        prefix = "${var.bucket_prefix}bad/"
        columns = [
          { name = "schema", type = "string" },
          { name = "data", type = "string" },
        ]
        serde            = "org.openx.data.jsonserde.JsonSerDe"
        serde_parameters = {}
      }
    } : {},
  )
  bucket_uri = "s3://${var.bucket}/"
}

resource "aws_glue_catalog_database" "this" {
  count = var.create_tables ? 1 : 0

  name        = replace(var.name, "-", "_")
  description = "What ${var.name} writes to ${var.bucket}"
  tags        = var.tags
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  name          = each.key
  database_name = aws_glue_catalog_database.this[0].name
  table_type    = "EXTERNAL_TABLE"

  parameters = {
    "EXTERNAL"                  = "TRUE"
    "projection.enabled"        = "true"
    "projection.date.type"      = "date"
    "projection.date.format"    = "yyyy-MM-dd"
    "projection.date.range"     = "${var.tables_begin},NOW"
    "projection.hour.type"      = "integer"
    "projection.hour.range"     = "0,23"
    "projection.hour.digits"    = "2"
    "storage.location.template" = "${local.bucket_uri}${each.value.prefix}date=$${date}/hour=$${hour}/"
  }

  partition_keys {
    name = "date"
    type = "string"
  }

  partition_keys {
    name = "hour"
    type = "string"
  }

  storage_descriptor {
    location      = "${local.bucket_uri}${each.value.prefix}"
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

    dynamic "columns" {
      for_each = each.value.columns

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }

    ser_de_info {
      serialization_library = each.value.serde
      parameters            = each.value.serde_parameters
    }
  }
}

# Answers lie in the bucket for a while. A query that would read more than the limit is not run to its end:
# whoever forgets the date pays for that much.
resource "aws_athena_workgroup" "this" {
  count = var.create_tables ? 1 : 0

  name = var.name
  tags = var.tags

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.query_limit_gib * 1024 * 1024 * 1024

    result_configuration {
      output_location = "${local.bucket_uri}${var.bucket_prefix}athena/"

      encryption_configuration {
        encryption_option = var.kms_key_arn == null ? "SSE_S3" : "SSE_KMS"
        kms_key_arn       = var.kms_key_arn
      }
    }
  }
}
