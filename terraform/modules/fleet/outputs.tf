output "autoscaling_group_name" {
  description = "The group that runs the workers."
  value       = aws_autoscaling_group.workers.name
}

output "security_group_id" {
  description = "The workers' security group."
  value       = aws_security_group.workers.id
}

output "role_name" {
  description = "The workers' role, for permissions that an enrichment of yours needs."
  value       = aws_iam_role.worker.name
}

output "lease_table_name" {
  description = "The table of leases."
  value       = aws_dynamodb_table.leases.name
}
