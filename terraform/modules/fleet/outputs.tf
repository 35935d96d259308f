output "asg_name" {
  description = "The group that runs the workers."
  value       = aws_autoscaling_group.workers.name
}

output "asg_id" {
  description = "The group's id."
  value       = aws_autoscaling_group.workers.id
}

output "sg_id" {
  description = "The workers' security group."
  value       = aws_security_group.workers.id
}

output "role_name" {
  description = "The workers' role, for permissions that an enrichment of yours needs."
  value       = aws_iam_role.worker.name
}

output "lease_table_name" {
  description = "The table of leases."
  value       = local.lease_table
}

output "max_size" {
  description = "The most workers that there can be: max_size, or the shards of the stream if they are fewer."
  value       = local.max_size
}

output "launch_template_version" {
  description = "The version of the launch template: another binary or configuration is another version."
  value       = aws_launch_template.worker.latest_version
}
