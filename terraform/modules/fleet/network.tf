# No way in but for metrics; out to AWS, and to where the configuration says that something is.

locals {
  # Ports of the registries: those written in a URI, else the scheme's.
  uris = concat(
    [for registry in try(jsondecode(local.resolver).data.repositories, []) : try(registry.connection.http.uri, "")],
  )
  uri_ports = [
    for uri in local.uris : try(
      tonumber(regex("^https?://[^/]*:([0-9]+)(?:/|$)", uri)[0]),
      startswith(uri, "http://") ? 80 : 443,
    ) if uri != ""
  ]
  ports = toset([for port in distinct(concat([443], local.uri_ports, var.egress_ports)) : tostring(port)])

  # Each place by itself: a security group has no rule for several. Lists and groups may be made in the same
  # run, so that their ids cannot be keys.
  ways_out = merge(
    { for pair in setproduct(local.ports, var.egress_cidr_blocks) : "${pair[0]} ${pair[1]}" => { port = pair[0], cidr = pair[1] } },
    { for n, id in var.egress_prefix_list_ids : "prefix list ${n}" => { port = "443", prefix_list = id } },
    { for n, id in var.egress_security_group_ids : "group ${n}" => { port = "443", group = id } },
  )
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

resource "aws_vpc_security_group_egress_rule" "out" {
  for_each = local.ways_out

  security_group_id            = aws_security_group.workers.id
  description                  = "AWS, schema registries, look-ups"
  cidr_ipv4                    = lookup(each.value, "cidr", null)
  prefix_list_id               = lookup(each.value, "prefix_list", null)
  referenced_security_group_id = lookup(each.value, "group", null)
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.value.port)
  to_port                      = tonumber(each.value.port)
}

resource "aws_vpc_security_group_ingress_rule" "metrics" {
  for_each = { for n, id in var.metrics_security_group_ids : n => id }

  security_group_id            = aws_security_group.workers.id
  description                  = "Metrics and health"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.admin_port
  to_port                      = local.admin_port
}
