# Tables over the bucket, for Athena. Partitions are computed from names of objects: nothing has to be
# crawled or repaired.

locals {
  # By `snowmelt ddl --for glue`, for lines: what is here is what it prints. Where its tables are is where a
  # fleet writes the route.
  inputs = jsondecode(var.tables_json == null ? file("${path.module}/tables.json") : var.tables_json)
  folders = {
    events = "enriched"
    failed = "incomplete"
    bad    = "bad"
  }
  tables     = { for table in local.inputs[*].TableInput : table.Name => table if var.create_tables }
  bucket_uri = "s3://${var.bucket}/"

  # Objects of lines lie in folders of a date and an hour; tables of files say what theirs are named after.
  by_hour = {
    "projection.enabled"     = "true"
    "projection.date.type"   = "date"
    "projection.date.format" = "yyyy-MM-dd"
    "projection.date.range"  = "${var.tables_begin},NOW"
    "projection.hour.type"   = "integer"
    "projection.hour.range"  = "0,23"
    "projection.hour.digits" = "2"
  }
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
  description   = each.value.Description
  database_name = aws_glue_catalog_database.this[0].name
  table_type    = each.value.TableType

  parameters = merge(
    { EXTERNAL = "TRUE" },
    try(each.value.Parameters, {}),
    length(each.value.PartitionKeys) > 0 ? {} : merge(local.by_hour, {
      "storage.location.template" = "${local.bucket_uri}${var.bucket_prefix}${local.folders[each.key]}/date=$${date}/hour=$${hour}/"
    }),
  )

  dynamic "partition_keys" {
    for_each = length(each.value.PartitionKeys) > 0 ? each.value.PartitionKeys : [
      { Name = "date", Type = "string" },
      { Name = "hour", Type = "string" },
    ]

    content {
      name = partition_keys.value.Name
      type = partition_keys.value.Type
    }
  }

  storage_descriptor {
    location      = "${local.bucket_uri}${var.bucket_prefix}${local.folders[each.key]}/"
    input_format  = each.value.StorageDescriptor.InputFormat
    output_format = each.value.StorageDescriptor.OutputFormat

    dynamic "columns" {
      for_each = each.value.StorageDescriptor.Columns

      content {
        name    = columns.value.Name
        type    = columns.value.Type
        comment = try(columns.value.Comment, null)
      }
    }

    ser_de_info {
      serialization_library = each.value.StorageDescriptor.SerdeInfo.SerializationLibrary
      parameters            = try(each.value.StorageDescriptor.SerdeInfo.Parameters, {})
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
