# What wakes somebody: records that grow old unread.

# Kinesis reports how old the records are that are handed out. At the retention they are gone, read
# or not: at half of it there is still as much time again to add workers or to raise the retention.
resource "aws_cloudwatch_metric_alarm" "records_grow_old" {
  alarm_name          = "${var.name}-records-grow-old"
  alarm_description   = "The fleet reads records of ${var.input_stream} after half of their retention: raise the retention, then see what is slow in /ready and in docs/operations.md."
  namespace           = "AWS/Kinesis"
  metric_name         = "GetRecords.IteratorAgeMilliseconds"
  dimensions          = { StreamName = var.input_stream }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 5
  comparison_operator = "GreaterThanThreshold"
  threshold           = var.stream_retention_hours * 60 * 60 * 1000 / 2
  alarm_actions       = var.alarm_topics
  ok_actions          = var.alarm_topics
  tags                = var.tags

  # A fleet that reads nothing reports nothing.
  treat_missing_data = "breaching"
}
