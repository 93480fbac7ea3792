# A role for a schedule that runs in Kubernetes, with exactly the secrets it names.
data "pgbackup_iam_policy" "nightly" {
  job    = pgbackup_schedule.nightly.job_json
  target = "kubernetes"
  kubernetes = {
    oidc_issuer     = "https://oidc.eks.us-east-1.amazonaws.com/id/EXAMPLED539D4633E53DE1B71EXAMPLE"
    namespace       = "shop"
    service_account = "pgbackup-nightly"
  }
}

resource "aws_iam_role" "nightly" {
  name               = "pgbackup-nightly"
  assume_role_policy = data.pgbackup_iam_policy.nightly.trust_json
}

resource "aws_iam_role_policy" "nightly" {
  role   = aws_iam_role.nightly.id
  policy = data.pgbackup_iam_policy.nightly.json
}

# One role for all jobs of a kind, before any of them is declared.
data "pgbackup_iam_policy" "verify" {
  kind       = "verify"
  repository = "s3://acme-pg-backups/prod?region=us-east-1"
  references = ["kms:arn:aws:kms:us-east-1:111122223333:key/11111111-2222-3333-4444-555555555555"]
  target     = "github_actions"
  github_actions = {
    repository = "acme/infrastructure"
  }
}
