# What wakes somebody, and what takes a release back while it rolls.

locals {
  namespace = "Snowmelt"

  figures = var.publish_figures ? {
    undurable = {
      expression  = null
      metrics     = { undurable = { name = "UndurableSeconds", stat = "Maximum" } }
      threshold   = var.alarm_undurable_seconds
      description = "The oldest record that is not durable is older than that: something is not read or not written. See /ready of the workers."
    }
    bad-share = {
      # Few events are no share to judge a release by.
      expression  = "IF(good + bad > 100, 100 * bad / (good + bad), 0)"
      metrics     = { good = { name = "EventsEnriched", stat = "Sum" }, bad = { name = "BadRows", stat = "Sum" } }
      threshold   = var.alarm_bad_percent
      description = "That part of the events become bad rows. See snowmelt_bad_events_total for which, and what has been released."
    }
    lease-churn = {
      expression  = null
      metrics     = { churn = { name = "LeasesLost", stat = "Sum" } }
      threshold   = var.alarm_leases_lost
      description = "Workers lose or fail leases again and again in five minutes: they do not renew in time, or shards cannot be worked."
    }
  } : {}

  refresh_alarms = concat(
    [aws_cloudwatch_metric_alarm.records_grow_old.alarm_name],
    [for alarm in aws_cloudwatch_metric_alarm.figure : alarm.alarm_name],
  )
}

# Kinesis reports how old the records are that are handed out. At the retention they are gone, read
# or not: at half of it there is still as much time again to add workers or to raise the retention.
resource "aws_cloudwatch_metric_alarm" "records_grow_old" {
  alarm_name          = "${var.name}-records-grow-old"
  alarm_description   = "The fleet reads records of ${var.in_stream_name} after half of their retention: raise the retention, then see what is slow in /ready and in docs/operations.md."
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = var.in_stream_name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.in_stream_retention_hours * 60 * 60 * 1000 / 2
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags

  # A fleet that reads nothing reports nothing.
  treat_missing_data = "breaching"
}

resource "aws_cloudwatch_metric_alarm" "figure" {
  for_each = local.figures

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  evaluation_periods  = 5
  datapoints_to_alarm = 3
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags

  # No figure is no worker, which records_grow_old is about.
  treat_missing_data = "notBreaching"

  dynamic "metric_query" {
    for_each = each.value.expression[*]

    content {
      id          = "share"
      expression  = metric_query.value
      label       = each.key
      return_data = true
    }
  }

  dynamic "metric_query" {
    for_each = each.value.metrics

    content {
      id          = metric_query.key
      return_data = each.value.expression == null

      metric {
        namespace   = local.namespace
        metric_name = metric_query.value.name
        dimensions  = { Fleet = var.name }
        period      = 60
        stat        = metric_query.value.stat
      }
    }
  }
}
