# The workers: a launch template, and a group that keeps as many as the load needs. Nobody logs in
# to a worker; one that is wrong is replaced.

locals {
  admin_port = 8000

  # A heartbeat longer than the drain, so that a drain that takes its time is not cut off.
  lifecycle_seconds = var.drain_seconds + 60

  # The worker gives up draining before systemd does, so that it says what it left.
  grace_seconds = var.drain_seconds - 10

  # A worker is warm when it is ready; this is how long a slow start may take.
  warm_up_seconds = 90

  user_data = templatefile("${path.module}/templates/user-data.sh.tftpl", {
    binary        = var.binary
    drain_seconds = var.drain_seconds
    group         = var.name
    region        = local.region
    config = templatefile("${path.module}/templates/worker.toml.tftpl", {
      admin_port      = local.admin_port
      bad_stream      = var.bad_stream
      bucket          = var.bucket
      bucket_prefix   = var.bucket_prefix
      grace_seconds   = local.grace_seconds
      enriched_stream = var.enriched_stream
      input_stream    = var.input_stream
      lease_table     = aws_dynamodb_table.leases.name
      mode            = var.fan_out ? "fan_out" : "polling"
      more            = var.config_toml
      region          = local.region
    })
  })
}

data "aws_ssm_parameter" "ami" {
  count = var.ami_id == null ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
}

resource "aws_security_group" "workers" {
  name_prefix = "${var.name}-"
  description = "Workers of ${var.name}: no way in but for metrics"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = var.name })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.workers.id
  description       = "AWS and schema registries"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each = toset(var.metrics_security_group_ids)

  security_group_id            = aws_security_group.workers.id
  description                  = "Metrics and health"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.admin_port
  to_port                      = local.admin_port
}

resource "aws_launch_template" "worker" {
  name_prefix            = "${var.name}-"
  image_id               = var.ami_id == null ? data.aws_ssm_parameter.ami[0].value : var.ami_id
  instance_type          = var.instance_type
  update_default_version = true
  user_data              = base64gzip(local.user_data)
  tags                   = var.tags

  iam_instance_profile {
    arn = aws_iam_instance_profile.worker.arn
  }

  # Version 2 of the metadata service only, and not for anything behind a network of its own.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  monitoring {
    enabled = false
  }

  network_interfaces {
    associate_public_ip_address = false
    delete_on_termination       = true
    security_groups             = [aws_security_group.workers.id]
  }

  block_device_mappings {
    device_name = "/dev/xvda"

    ebs {
      delete_on_termination = true
      encrypted             = true
      volume_size           = 10
      volume_type           = "gp3"
    }
  }

  tag_specifications {
    resource_type = "instance"
    tags          = merge(var.tags, { Name = var.name })
  }

  tag_specifications {
    resource_type = "volume"
    tags          = merge(var.tags, { Name = var.name })
  }
}

resource "aws_autoscaling_group" "workers" {
  name                      = var.name
  min_size                  = var.min_workers
  max_size                  = var.max_workers
  vpc_zone_identifier       = var.subnet_ids
  health_check_type         = "EC2"
  health_check_grace_period = local.warm_up_seconds
  default_instance_warmup   = local.warm_up_seconds
  capacity_rebalance        = true

  launch_template {
    id      = aws_launch_template.worker.id
    version = aws_launch_template.worker.latest_version
  }

  # A new binary or configuration is a new template version; this replaces workers one by one,
  # the new one first.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 150
      instance_warmup        = local.warm_up_seconds
      auto_rollback          = true
    }
  }

  # In the group itself rather than beside it, so that its very first instance has it.
  initial_lifecycle_hook {
    name                 = "drain"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = local.lifecycle_seconds
    default_result       = "CONTINUE"
  }

  dynamic "tag" {
    for_each = merge(var.tags, { Name = var.name })

    content {
      key                 = tag.key
      value               = tag.value
      propagate_at_launch = false # the launch template tags instances
    }
  }

  # Workers that start must find what they may use.
  depends_on = [aws_iam_role_policy.worker, aws_kinesis_stream.this, aws_s3_bucket.this]
}

# Enriching is bound by CPU. A fleet that lags for another reason (a slow sink, a hot shard) is not
# helped by more workers; alert on snowmelt's lag metric instead.
resource "aws_autoscaling_policy" "cpu" {
  name                      = "${var.name}-cpu"
  autoscaling_group_name    = aws_autoscaling_group.workers.name
  policy_type               = "TargetTrackingScaling"
  estimated_instance_warmup = local.warm_up_seconds

  target_tracking_configuration {
    target_value = var.target_cpu_percent

    predefined_metric_specification {
      predefined_metric_type = "ASGAverageCPUUtilization"
    }
  }
}
