#!/usr/bin/env bash
# What hands do in a console: each kind of thing the example made is changed or
# deleted behind Terraform's back.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
aws() { "$root/.venv/bin/aws" --endpoint-url "$DEMO_ENDPOINT" --region us-east-1 --output text "$@"; }
bucket=acme-pg-backups
group=$(aws scheduler list-schedules --query 'Schedules[?contains(Name, `nightly-app`)].GroupName')

aws s3api put-bucket-versioning --bucket "$bucket" --versioning-configuration Status=Suspended
aws s3api delete-public-access-block --bucket "$bucket"
aws s3api delete-bucket-policy --bucket "$bucket"
aws s3api delete-bucket-replication --bucket "$bucket"
aws s3api delete-bucket-lifecycle --bucket "$bucket"
aws s3api delete-bucket-encryption --bucket "$bucket-dr"
aws scheduler delete-schedule --group-name "$group" --name "$(aws scheduler list-schedules --query 'Schedules[?contains(Name, `nightly-app`)].Name')"
role=$(aws iam list-roles --query 'Roles[?contains(RoleName, `nightly-orders`)].RoleName' | tr '\t' '\n' | head -n 1)
aws iam put-role-policy --role-name "$role" --policy-name pgbackup --policy-document '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
aws lambda delete-function --function-name "$(aws lambda list-functions --query 'Functions[?contains(FunctionName, `verify`)].FunctionName')" >/dev/null
aws cloudwatch delete-alarms --alarm-names "$(aws cloudwatch describe-alarms --query 'MetricAlarms[?contains(AlarmName, `nightly-app-overdue`)].AlarmName')"
aws rds modify-db-instance --db-instance-identifier acme-prod --backup-retention-period 3 --apply-immediately >/dev/null
aws s3 rm --only-show-errors --recursive --exclude '*' --include '*/pgbackup-runner' "s3://$bucket/prod/runner/"
