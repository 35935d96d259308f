# A bucket that nobody but its account reads: no public access, no ACLs, encrypted, over TLS only.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

variable "name" {
  description = "Name of the bucket; bucket names are global."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of KMS that objects are encrypted with; null encrypts them with keys of S3's own (SSE-S3)."
  type        = string
  default     = null
}

variable "versioned" {
  description = "Whether earlier versions of objects are kept."
  type        = bool
  default     = false
}

variable "earlier_versions_days" {
  description = "How many days earlier versions are kept, where there are any."
  type        = number
  default     = 90
}

variable "rules" {
  description = "What becomes of objects under a prefix: after how many days they are stored as infrequently read, and deleted. Null: never."
  type = map(object({
    prefix     = string
    infrequent = optional(number)
    expires    = optional(number)
  }))
  default = {}
}

variable "tags" {
  description = "Tags on the bucket."
  type        = map(string)
  default     = {}
}

resource "aws_s3_bucket" "this" {
  #checkov:skip=CKV_AWS_18:Access logs would be a second bucket with more requests than this one; CloudTrail has who read what
  #checkov:skip=CKV_AWS_21:Objects of events are written once, under names of their own, and never again; where versions matter, versioned is true
  #checkov:skip=CKV_AWS_144:A copy in another region is a decision with a price, and one of the account's; nothing here stands in its way
  #checkov:skip=CKV2_AWS_62:Nobody here would read the notifications; whoever loads the objects adds their own
  bucket = var.name
  tags   = var.tags
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_versioning" "this" {
  bucket = aws_s3_bucket.this.id

  versioning_configuration {
    status = var.versioned ? "Enabled" : "Suspended"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    bucket_key_enabled = var.kms_key_arn != null

    apply_server_side_encryption_by_default {
      sse_algorithm     = var.kms_key_arn == null ? "AES256" : "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "what-is-left-over"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }

    noncurrent_version_expiration {
      noncurrent_days = var.earlier_versions_days
    }
  }

  dynamic "rule" {
    for_each = { for name, rule in var.rules : name => rule if rule.infrequent != null || rule.expires != null }

    content {
      id     = rule.key
      status = "Enabled"

      filter {
        prefix = rule.value.prefix
      }

      dynamic "transition" {
        for_each = rule.value.infrequent[*]

        content {
          days          = transition.value
          storage_class = "STANDARD_IA"
        }
      }

      dynamic "expiration" {
        for_each = rule.value.expires[*]

        content {
          days = expiration.value
        }
      }
    }
  }
}

data "aws_iam_policy_document" "tls_only" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id
  policy = data.aws_iam_policy_document.tls_only.json

  depends_on = [aws_s3_bucket_public_access_block.this]
}

output "name" {
  description = "Name of the bucket, once all of it is there."
  value       = aws_s3_bucket.this.id

  depends_on = [
    aws_s3_bucket_ownership_controls.this,
    aws_s3_bucket_policy.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_versioning.this,
  ]
}
