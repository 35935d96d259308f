# What a worker and its instance may do, and nothing else: no creating, no deleting but of leases, no logs.

data "aws_partition" "this" {}
data "aws_region" "this" {}
data "aws_caller_identity" "this" {}

locals {
  partition = data.aws_partition.this.partition
  # `name` is the attribute in every supported version of the provider.
  region  = data.aws_region.this.name
  account = data.aws_caller_identity.this.account_id
  kinesis = "arn:${local.partition}:kinesis:${local.region}:${local.account}:stream"
  s3      = "arn:${local.partition}:s3:::"
  # Written out rather than taken from the group, which needs the role first.
  asg = join(":", [
    "arn:${local.partition}:autoscaling:${local.region}:${local.account}",
    "autoScalingGroup:*:autoScalingGroupName/${var.name}",
  ])
}

data "aws_iam_policy_document" "worker" {
  statement {
    sid = "ReadPayloads"
    actions = [
      "kinesis:GetRecords",
      "kinesis:GetShardIterator",
      "kinesis:DescribeStreamSummary",
      "kinesis:ListShards",
    ]
    resources = ["${local.kinesis}/${var.in_stream_name}"]
  }

  dynamic "statement" {
    for_each = var.fan_out ? [var.in_stream_name] : []

    content {
      sid = "SubscribeToShards"
      actions = [
        "kinesis:DescribeStreamConsumer",
        "kinesis:RegisterStreamConsumer",
        "kinesis:SubscribeToShard",
      ]
      resources = [
        "${local.kinesis}/${statement.value}",
        "${local.kinesis}/${statement.value}/consumer/*",
      ]
    }
  }

  statement {
    sid = "WriteEvents"
    # Described at the start, so that a stream that is not there is found before a lease is taken.
    actions = ["kinesis:DescribeStreamSummary", "kinesis:PutRecords"]
    resources = [
      "${local.kinesis}/${var.enriched_stream_name}",
      "${local.kinesis}/${var.bad_stream_name}",
    ]
  }

  statement {
    sid       = "WriteObjects"
    actions   = ["s3:PutObject"]
    resources = ["${local.s3}${var.bucket}/${var.bucket_prefix}*"]
  }

  statement {
    sid = "HoldLeases"
    actions = [
      "dynamodb:DeleteItem",
      "dynamodb:DescribeTable",
      "dynamodb:GetItem",
      "dynamodb:PutItem",
      "dynamodb:Scan",
      "dynamodb:UpdateItem",
    ]
    resources = ["arn:${local.partition}:dynamodb:${local.region}:${local.account}:table/${local.lease_table}"]
  }

  # Binary, bundle and assets; and the configuration, by its version.
  statement {
    sid       = "FetchRelease"
    actions   = ["s3:GetObject"]
    resources = distinct([for object in values(local.fetched) : "${local.s3}${object.bucket}/${object.key}"])
  }

  statement {
    sid       = "FetchConfiguration"
    actions   = ["s3:GetObjectVersion"]
    resources = ["${local.s3}${local.configuration_bucket}/${local.configuration_key}"]
  }

  dynamic "statement" {
    for_each = length(var.secrets) == 0 ? [] : [values(var.secrets)]

    content {
      sid       = "ReadSecrets"
      actions   = ["ssm:GetParameter"]
      resources = [for name in statement.value : "arn:${local.partition}:ssm:${local.region}:${local.account}:parameter/${trimprefix(name, "/")}"]
    }
  }

  # Of this group alone: to say that the worker is ready, drained, or sick.
  statement {
    sid       = "TellTheGroup"
    actions   = ["autoscaling:CompleteLifecycleAction", "autoscaling:SetInstanceHealth"]
    resources = [local.asg]
  }

  # This action knows no resources, but namespaces.
  dynamic "statement" {
    for_each = var.publish_figures ? [local.namespace] : []

    content {
      sid       = "SendFigures"
      actions   = ["cloudwatch:PutMetricData"]
      resources = ["*"]

      condition {
        test     = "StringEquals"
        variable = "cloudwatch:namespace"
        values   = [statement.value]
      }
    }
  }

  # Without the right to list, S3 does not tell what is not there from what may not be read.
  dynamic "statement" {
    for_each = length(var.read_buckets) == 0 ? [] : [var.read_buckets]

    content {
      sid     = "ReadSchemasAndAssets"
      actions = ["s3:GetObject", "s3:ListBucket"]
      resources = flatten([
        for bucket in statement.value : ["${local.s3}${bucket}", "${local.s3}${bucket}/*"]
      ])
    }
  }

  dynamic "statement" {
    for_each = var.kms_key_arn[*]

    content {
      sid       = "UseKey"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]

      # Through the services that encrypt with it, and not as such.
      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = [for service in ["dynamodb", "kinesis", "s3", "ssm"] : "${service}.${local.region}.amazonaws.com"]
      }
    }
  }
}

data "aws_iam_policy_document" "instance" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "worker" {
  name_prefix          = "${var.name}-"
  assume_role_policy   = data.aws_iam_policy_document.instance.json
  permissions_boundary = var.iam_permissions_boundary
  tags                 = var.tags
}

resource "aws_iam_role_policy" "worker" {
  name   = "worker"
  role   = aws_iam_role.worker.id
  policy = data.aws_iam_policy_document.worker.json
}

# What settings of one's own add.
resource "aws_iam_role_policy" "more" {
  count  = var.more_policy_json == null ? 0 : 1
  name   = "more"
  role   = aws_iam_role.worker.id
  policy = var.more_policy_json
}

resource "aws_iam_instance_profile" "worker" {
  name_prefix = "${var.name}-"
  role        = aws_iam_role.worker.name
  tags        = var.tags
}
