# A fleet with everything switched off that can be, beside what is there already. For the tests.

terraform {
  required_version = ">= 1.6"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.80, < 7.0"
    }
  }
}

provider "aws" {
  region = "eu-west-1"
}

module "pipeline" {
  source = "./modules/pipeline"

  name                   = "snowmelt"
  bucket                 = "there"
  in_stream_name         = "payloads"
  enriched_stream_name   = "enriched"
  bad_stream_name        = "bad"
  create_in_stream       = false
  create_enriched_stream = false
  create_bad_stream      = false
  create_bucket          = false
  create_tables          = false
}

module "fleet" {
  source = "./modules/fleet"

  name                 = "snowmelt"
  vpc_id               = "vpc-0123456789abcdef0"
  subnet_ids           = ["subnet-1"]
  ami_id               = "ami-0fedcba9876543210"
  binary               = { bucket = "artefacts", key = "snowmelt", sha256 = sha256("") }
  bucket               = module.pipeline.bucket
  in_stream_name       = module.pipeline.in_stream_name
  enriched_stream_name = module.pipeline.enriched_stream_name
  bad_stream_name      = module.pipeline.bad_stream_name
  create_lease_table   = false
  lease_table_name     = "leases"
  configuration_bucket = "there"
  iglu_central         = false
  enable_auto_scaling  = false
  publish_figures      = false
  egress_cidr_blocks   = []
  max_size             = 10
}
