# How many workers. Lag is no measure of that: it goes on growing while there are too few of them, however
# many are added, and CPU is none either where a worker waits for what it writes to.

locals {
  in_service = {
    namespace   = "AWS/AutoScaling"
    metric_name = "GroupInServiceInstances"
    dimension   = "AutoScalingGroupName"
    value       = aws_autoscaling_group.workers.name
    stat        = "Average"
  }
  measures = {
    # Bytes that come in for each worker, up to twice as much while records are ten minutes old: what lies
    # in the stream has to be read as well. It costs nothing: AWS has the figures already.
    incoming_bytes = {
      target     = var.worker_bytes_per_second * var.target_percent / 100
      expression = "bytes / 60 * (1 + IF(age > 600000, 1, age / 600000)) / workers"
      label      = "Bytes a second for each worker"
      metrics = {
        bytes   = { namespace = "AWS/Kinesis", metric_name = "IncomingBytes", dimension = "StreamName", value = var.in_stream_name, stat = "Sum" }
        age     = { namespace = "AWS/Kinesis", metric_name = "GetRecords.IteratorAgeMilliseconds", dimension = "StreamName", value = var.in_stream_name, stat = "Maximum" }
        workers = local.in_service
      }
    }
    # What the workers themselves ask for, from the processor time that reading a second of the stream takes.
    desired_workers = {
      target     = 1
      expression = "desired / workers"
      label      = "Workers asked for, for each that there is"
      metrics = {
        desired = { namespace = local.namespace, metric_name = "DesiredWorkers", dimension = "Fleet", value = var.name, stat = "Maximum" }
        workers = local.in_service
      }
    }
  }
  measure = local.measures[var.scale_on]
}

resource "aws_autoscaling_policy" "work" {
  count = var.enable_auto_scaling ? 1 : 0

  name                      = "${var.name}-work"
  autoscaling_group_name    = aws_autoscaling_group.workers.name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = local.warm_up_seconds

  target_tracking_configuration {
    target_value = local.measure.target

    customized_metric_specification {
      metrics {
        id          = "load"
        expression  = local.measure.expression
        label       = local.measure.label
        return_data = true
      }

      dynamic "metrics" {
        for_each = local.measure.metrics

        content {
          id          = metrics.key
          return_data = false

          metric_stat {
            stat = metrics.value.stat

            metric {
              namespace   = metrics.value.namespace
              metric_name = metrics.value.metric_name

              dimensions {
                name  = metrics.value.dimension
                value = metrics.value.value
              }
            }
          }
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = var.scale_on != "desired_workers" || var.publish_figures
      error_message = "scale_on = \"desired_workers\" goes by what workers publish: publish_figures has to be true."
    }
  }
}
