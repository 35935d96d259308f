# The lease table. The layout is that of the Kinesis Client Library, so that its tools, and its workers,
# can read it.

locals {
  lease_table = coalesce(var.lease_table_name, var.name)
}

resource "aws_dynamodb_table" "leases" {
  #checkov:skip=CKV_AWS_119:Leases hold names of shards and numbers; kms_key_arn gives them a key of the customer's where that is wanted
  count = var.create_lease_table ? 1 : 0

  name                        = local.lease_table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "leaseKey"
  deletion_protection_enabled = true
  tags                        = var.tags

  attribute {
    name = "leaseKey"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  # Disabled means a key that DynamoDB owns, without cost; enabled without an ARN would be a key of this
  # account's that AWS manages, at a price for each use.
  server_side_encryption {
    enabled     = var.kms_key_arn != null
    kms_key_arn = var.kms_key_arn
  }
}
