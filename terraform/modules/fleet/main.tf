# The workers: a launch template, and a group that keeps as many as the load needs. Nobody logs in
# to a worker; one that is wrong is replaced.

locals {
  # A heartbeat longer than the drain, so that a drain that takes its time is not cut off.
  drain_hook_seconds = var.drain_seconds + 60

  # The hook waits for the worker to be ready and for the fetching before; both are bounded on the instance.
  launch_hook_seconds = var.launch_seconds + 120

  # Only a ready worker leaves the launching hook; what follows is the load finding its way to it.
  warm_up_seconds = 60

  # An idle worker costs as much as a busy one: there are never more than shards, but for the standby.
  shards   = var.in_stream_shards != null ? var.in_stream_shards : length(data.aws_kinesis_stream.in[0].open_shards)
  max_size = max(var.min_size, min(var.max_size, local.shards))

  settings = {
    AWS_REGION                     = local.region
    AWS_DEFAULT_REGION             = local.region
    SNOWMELT_GROUP                 = var.name
    SNOWMELT_ADMIN                 = "127.0.0.1:${local.admin_port}"
    SNOWMELT_LAUNCH_SECONDS        = var.launch_seconds
    SNOWMELT_CONFIGURATION_BUCKET  = local.configuration_bucket
    SNOWMELT_CONFIGURATION_KEY     = local.configuration_key
    SNOWMELT_CONFIGURATION_VERSION = aws_s3_object.configuration.version_id
    SNOWMELT_CONFIGURATION_SHA256  = sha256(local.configuration)
    SNOWMELT_NAMESPACE             = var.publish_figures ? local.namespace : ""
  }

  user_data = templatefile("${path.module}/templates/user-data.sh.tftpl", {
    settings = local.settings
    fetched  = local.fetched
    secrets  = var.secrets
    scripts = {
      for name in ["snowmelt-boot", "snowmelt-drain", "snowmelt-figures", "snowmelt-watchdog"] :
      name => file("${path.module}/files/${name}")
    }
    units = merge(
      {
        for name in fileset("${path.module}/files", "*.{service,timer}") :
        name => file("${path.module}/files/${name}")
      },
      {
        "snowmelt.service" = templatefile("${path.module}/templates/snowmelt.service.tftpl", {
          drain_seconds = var.drain_seconds
        })
      },
    )
  })
}

data "aws_kinesis_stream" "in" {
  count = var.in_stream_shards == null ? 1 : 0

  name = var.in_stream_name
}

# An image that is published later replaces the workers with the next apply.
data "aws_ssm_parameter" "ami" {
  count = var.ami_id == null ? 1 : 0

  name = "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-${var.architecture}"
}

resource "aws_launch_template" "worker" {
  name_prefix            = "${var.name}-"
  image_id               = var.ami_id == null ? data.aws_ssm_parameter.ami[0].value : var.ami_id
  instance_type          = var.instance_types[0]
  ebs_optimized          = true
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
  min_size                  = var.min_size
  max_size                  = local.max_size
  vpc_zone_identifier       = var.subnet_ids
  health_check_type         = "EC2" # and what snowmelt-watchdog reports
  health_check_grace_period = local.warm_up_seconds
  default_instance_warmup   = local.warm_up_seconds
  max_instance_lifetime     = var.max_instance_days * 24 * 60 * 60
  capacity_rebalance        = true
  termination_policies      = ["OldestLaunchTemplate", "AllocationStrategy", "Default"]
  enabled_metrics           = ["GroupInServiceInstances", "GroupDesiredCapacity"]

  # By the number of its version: a refresh cannot be rolled back to $Latest.
  mixed_instances_policy {
    instances_distribution {
      on_demand_allocation_strategy            = "prioritized"
      on_demand_base_capacity                  = var.on_demand_base
      on_demand_percentage_above_base_capacity = 100 - var.spot_percent
      spot_allocation_strategy                 = "price-capacity-optimized"
    }

    launch_template {
      launch_template_specification {
        launch_template_id = aws_launch_template.worker.id
        version            = aws_launch_template.worker.latest_version
      }

      dynamic "override" {
        for_each = var.instance_types

        content {
          instance_type = override.value
        }
      }
    }
  }

  # Another binary or configuration is another version of the template; this replaces workers one by
  # one, the new one first, goes on when the new one is ready, and goes back when an alarm rises.
  instance_refresh {
    strategy = "Rolling"

    preferences {
      min_healthy_percentage       = 100
      max_healthy_percentage       = 150
      instance_warmup              = local.warm_up_seconds
      auto_rollback                = true
      skip_matching                = true
      scale_in_protected_instances = "Wait"

      alarm_specification {
        alarms = local.refresh_alarms
      }
    }
  }

  instance_maintenance_policy {
    min_healthy_percentage = 100
    max_healthy_percentage = 150
  }

  availability_zone_distribution {
    capacity_distribution_strategy = "balanced-best-effort"
  }

  # In the group itself rather than beside it, so that its very first instance has them. An instance
  # that does not say that its worker is ready is given up.
  initial_lifecycle_hook {
    name                 = "launch"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = local.launch_hook_seconds
    default_result       = "ABANDON"
  }

  initial_lifecycle_hook {
    name                 = "drain"
    lifecycle_transition = "autoscaling:EC2_INSTANCE_TERMINATING"
    heartbeat_timeout    = local.drain_hook_seconds
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
  depends_on = [aws_dynamodb_table.leases, aws_iam_role_policy.worker, aws_iam_role_policy.more]
}
