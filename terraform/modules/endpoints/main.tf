# Ways to AWS that stay inside the VPC. What they cost, and when a NAT gateway costs less, is in the README.

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
  description = "Prefix of names."
  type        = string
}

variable "tags" {
  description = "Tags on everything."
  type        = map(string)
  default     = {}
}

variable "vpc_id" {
  description = "The VPC of the workers."
  type        = string
}

variable "vpc_cidr" {
  description = "Addresses of the VPC: who may use the interface endpoints."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the workers, one of each zone: an interface endpoint is paid for by zone and hour."
  type        = list(string)
}

variable "route_table_ids" {
  description = "Route tables of these subnets, for the gateway endpoints."
  type        = list(string)
}

variable "interfaces" {
  description = <<-EOT
    Services that get an interface endpoint. Without any other way out a fleet needs all five; ssm only where it
    has secrets, monitoring only where it publishes figures.
  EOT
  type        = set(string)
  default     = ["kinesis-streams", "autoscaling", "monitoring", "sts", "ssm"]
}

data "aws_region" "this" {}

resource "aws_vpc_endpoint" "gateway" {
  for_each = toset(["s3", "dynamodb"])

  vpc_id            = var.vpc_id
  service_name      = "com.amazonaws.${data.aws_region.this.name}.${each.value}"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = var.route_table_ids
  tags              = merge(var.tags, { Name = "${var.name}-${each.value}" })
}

resource "aws_security_group" "interfaces" {
  name_prefix = "${var.name}-endpoints-"
  description = "Interface endpoints of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-endpoints" })

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "https" {
  security_group_id = aws_security_group.interfaces.id
  description       = "From the VPC"
  cidr_ipv4         = var.vpc_cidr
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_endpoint" "interface" {
  for_each = var.interfaces

  vpc_id              = var.vpc_id
  service_name        = "com.amazonaws.${data.aws_region.this.name}.${each.value}"
  vpc_endpoint_type   = "Interface"
  subnet_ids          = var.subnet_ids
  security_group_ids  = [aws_security_group.interfaces.id]
  private_dns_enabled = true
  tags                = merge(var.tags, { Name = "${var.name}-${each.value}" })
}

output "prefix_list_ids" {
  description = "Prefix lists of S3 and DynamoDB: egress_prefix_list_ids of the fleet."
  value       = [for endpoint in aws_vpc_endpoint.gateway : endpoint.prefix_list_id]
}

output "security_group_id" {
  description = "Security group of the interface endpoints: in egress_security_group_ids of the fleet."
  value       = aws_security_group.interfaces.id
}
