# What a worker is told: worker.toml, resolver, enrichments. One object of S3 has all of it, and the launch
# template names the object's version: another configuration is another version of the template, which
# replaces the workers, and a template that is rolled back to still finds its own.

locals {
  admin_port = 8000

  # The worker gives up draining before systemd does, so that it says what it left.
  grace_seconds = var.drain_seconds - 10

  iglu_central = {
    name            = "Iglu Central"
    priority        = 1
    uri             = "https://iglucentral.com"
    api_key         = null
    vendor_prefixes = ["com.snowplowanalytics"]
  }
  registries = concat(var.iglu_central ? [local.iglu_central] : [], var.custom_iglu_resolvers)
  resolver = var.resolver_json != null ? var.resolver_json : jsonencode({
    schema = "iglu:com.snowplowanalytics.iglu/resolver-config/jsonschema/1-0-1"
    data = {
      cacheSize = 500
      repositories = [
        for registry in local.registries : {
          name           = registry.name
          priority       = registry.priority
          vendorPrefixes = registry.vendor_prefixes
          connection = {
            http = merge(
              { uri = registry.uri },
              registry.api_key == null ? {} : { apikey = registry.api_key },
            )
          }
        }
      ]
    }
  })
  has_resolver = var.resolver_json != null || length(local.registries) > 0

  worker_toml = templatefile("${path.module}/templates/worker.toml.tftpl", {
    admin_port           = local.admin_port
    assets_update_period = var.assets_update_period
    bad_stream           = var.bad_stream_name
    bucket               = var.bucket
    bucket_prefix        = var.bucket_prefix
    bundle               = var.bundle != null
    enriched_stream      = var.enriched_stream_name
    enrichments          = length(var.enrichments) > 0
    grace_seconds        = local.grace_seconds
    in_stream            = var.in_stream_name
    initial_position     = var.initial_position
    lease_table          = local.lease_table
    mode                 = var.fan_out ? "fan_out" : "polling"
    more                 = var.config_toml
    region               = local.region
    resolver             = local.has_resolver
  })

  configuration = jsonencode(merge(
    { "worker.toml" = local.worker_toml },
    local.has_resolver ? { "resolver.json" = local.resolver } : {},
    { for name, text in var.enrichments : "enrichments/${name}" => text },
  ))

  configuration_bucket = var.configuration_bucket != null ? var.configuration_bucket : module.configuration[0].name
  configuration_key    = "${var.name}/configuration.json.gz"

  # Bundle and assets are fetched as the binary is: by name, and refused if the sum is another.
  fetched = merge(
    { for path, asset in var.assets : "/etc/snowmelt/assets/${path}" => asset },
    { for bundle in var.bundle[*] : "/etc/snowmelt/schemas.bundle" => bundle },
    { "/usr/local/bin/snowmelt" = var.binary },
  )
}

module "configuration" {
  source = "../bucket"
  count  = var.configuration_bucket == null ? 1 : 0

  name        = "${var.name}-configuration-${local.account}-${local.region}"
  kms_key_arn = var.kms_key_arn
  versioned   = true
  tags        = var.tags
}

resource "aws_s3_object" "configuration" {
  bucket                 = local.configuration_bucket
  key                    = local.configuration_key
  content_base64         = base64gzip(local.configuration)
  content_type           = "application/gzip"
  server_side_encryption = var.kms_key_arn == null ? "AES256" : "aws:kms"
  kms_key_id             = var.kms_key_arn
  tags                   = var.tags
}
