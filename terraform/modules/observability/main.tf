# What shows how a fleet is, and what wakes somebody beside the fleet's own alarms: by figures that AWS has
# anyhow and by those that workers publish (`publish_figures` of the fleet).

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
  description = "Name of the fleet: of its group, and of the figures that its workers publish."
  type        = string
}

variable "tags" {
  description = "Tags on everything."
  type        = map(string)
  default     = {}
}

variable "in_stream_name" {
  description = "Stream of collector payloads."
  type        = string
}

variable "enriched_stream_name" {
  description = "Stream of enriched events."
  type        = string
}

variable "bad_stream_name" {
  description = "Stream of bad rows."
  type        = string
}

variable "lease_table_name" {
  description = "The lease table."
  type        = string
}

variable "min_size" {
  description = "The fewest workers that the group has."
  type        = number
}

variable "alarm_topics" {
  description = "ARNs of the topics of SNS that alarms are sent to; by default they only show."
  type        = list(string)
  default     = []
}

data "aws_region" "this" {}

locals {
  region = data.aws_region.this.name

  # A sum over a minute that is above 0 for five minutes; throttling that passes is what retries are for.
  throttled = merge(
    {
      for name in [var.enriched_stream_name, var.bad_stream_name] : "${name}-throttled" => {
        namespace   = "AWS/Kinesis"
        metric      = "WriteProvisionedThroughputExceeded"
        dimensions  = { StreamName = name }
        description = "${name} takes less than is written: more shards. Nothing is lost, lines wait."
      }
    },
    {
      "${var.in_stream_name}-throttled" = {
        namespace   = "AWS/Kinesis"
        metric      = "ReadProvisionedThroughputExceeded"
        dimensions  = { StreamName = var.in_stream_name }
        description = "Readers of ${var.in_stream_name} want more than its shards give: more shards, fewer readers, or fan_out."
      }
      "${var.name}-leases-throttled" = {
        namespace   = "AWS/DynamoDB"
        metric      = "ThrottledRequests"
        dimensions  = { TableName = var.lease_table_name, Operation = "UpdateItem" }
        description = "The lease table refuses renewals: workers lose leases."
      }
    },
  )

  rows = [
    [
      { title = "Age of the oldest record read, ms", metrics = [["AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", "StreamName", var.in_stream_name, { stat = "Maximum" }]] },
      { title = "Age of the oldest record that is not durable, s", metrics = [["Snowmelt", "UndurableSeconds", "Fleet", var.name, { stat = "Maximum" }]] },
      { title = "Leases lost or failed", metrics = [["Snowmelt", "LeasesLost", "Fleet", var.name, { stat = "Sum" }]] },
    ],
    [
      { title = "Events a minute", metrics = [["Snowmelt", "EventsEnriched", "Fleet", var.name, { stat = "Sum" }], [".", "BadRows", ".", ".", { stat = "Sum" }]] },
      { title = "Bytes a minute", metrics = [["AWS/Kinesis", "IncomingBytes", "StreamName", var.in_stream_name, { stat = "Sum" }], ["...", var.enriched_stream_name, { stat = "Sum" }]] },
      { title = "Workers: there, wanted, asked for", metrics = [["AWS/AutoScaling", "GroupInServiceInstances", "AutoScalingGroupName", var.name, { stat = "Average" }], [".", "GroupDesiredCapacity", ".", ".", { stat = "Average" }], ["Snowmelt", "DesiredWorkers", "Fleet", var.name, { stat = "Maximum" }]] },
    ],
    [
      { title = "Throttled", metrics = [["AWS/Kinesis", "WriteProvisionedThroughputExceeded", "StreamName", var.enriched_stream_name, { stat = "Sum" }], ["...", var.bad_stream_name, { stat = "Sum" }], [".", "ReadProvisionedThroughputExceeded", ".", var.in_stream_name, { stat = "Sum" }]] },
      { title = "Lease table, units", metrics = [["AWS/DynamoDB", "ConsumedWriteCapacityUnits", "TableName", var.lease_table_name, { stat = "Sum" }], [".", "ConsumedReadCapacityUnits", ".", ".", { stat = "Sum" }]] },
      { title = "CPU, %", metrics = [["AWS/EC2", "CPUUtilization", "AutoScalingGroupName", var.name, { stat = "Average" }], ["...", { stat = "Maximum" }]] },
    ],
  ]
}

resource "aws_cloudwatch_metric_alarm" "throttled" {
  for_each = local.throttled

  alarm_name          = each.key
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = "Sum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "too_few_workers" {
  alarm_name          = "${var.name}-too-few-workers"
  alarm_description   = "The group has fewer workers than its minimum for ten minutes: instances do not start, or their workers are not ready. See the group's activity, and /var/log/cloud-init-output.log of an instance."
  namespace           = "AWS/AutoScaling"
  metric_name         = "GroupInServiceInstances"
  dimensions          = { AutoScalingGroupName = var.name }
  statistic           = "Minimum"
  period              = 60
  evaluation_periods  = 10
  comparison_operator = "LessThanThreshold"
  threshold           = var.min_size
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = flatten([
      for y, row in local.rows : [
        for x, widget in row : {
          type   = "metric"
          x      = x * 8
          y      = y * 6
          width  = 8
          height = 6
          properties = {
            title   = widget.title
            region  = local.region
            period  = 60
            view    = "timeSeries"
            metrics = widget.metrics
          }
        }
      ]
    ])
  })
}

output "dashboard_name" {
  description = "The dashboard of CloudWatch."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
