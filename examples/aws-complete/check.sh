#!/usr/bin/env bash
# Reads the account with the AWS CLI and holds it against what the example
# declares. $1 is the file with the variables. Ends with 1 at the first thing that
# is not as declared.
set -euo pipefail
variables=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
aws() { "$root/.venv/bin/aws" --endpoint-url "$DEMO_ENDPOINT" --region us-east-1 --output text "$@"; }
bucket=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["bucket"])' "$variables")

# is compares what a query of the AWS CLI gives with what it should.
is() {
	local what=$1 want=$2 got
	shift 2
	got=$(aws "$@") || got="(the call failed)"
	got=$(echo "$got" | tr '\t\n' '  ' | sed 's/ *$//')
	if [[ "$got" != $want ]]; then
		echo "  WRONG  $what: $got, not $want" >&2
		exit 1
	fi
	printf '  %-46s %s\n' "$what" "$got"
}

# That only TLS is taken is not declared where the endpoint itself has none, as the
# emulator's: nobody could reach the bucket any more.
for b in "$bucket" "$bucket-dr"; do
	region=us-east-1
	[ "$b" = "$bucket" ] || region=eu-west-1
	is "$b keeps versions" Enabled s3api get-bucket-versioning --bucket "$b" --query Status
	is "$b is encrypted" AES256 s3api get-bucket-encryption --bucket "$b" --query 'ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm'
	is "$b blocks the public" 'True True True True' s3api get-public-access-block --bucket "$b" --query 'PublicAccessBlockConfiguration.[BlockPublicAcls,IgnorePublicAcls,BlockPublicPolicy,RestrictPublicBuckets]'
	is "$b is owned by one" BucketOwnerEnforced s3api get-bucket-ownership-controls --bucket "$b" --query 'OwnershipControls.Rules[0].ObjectOwnership'
done
is "copies go to" "arn:aws:s3:::$bucket-dr" s3api get-bucket-replication --bucket "$bucket" --query 'ReplicationConfiguration.Rules[0].Destination.Bucket'
is "old versions go after (days)" 30 s3api get-bucket-lifecycle-configuration --bucket "$bucket" --query 'Rules[?NoncurrentVersionExpiration].NoncurrentVersionExpiration.NoncurrentDays'
is "unfinished uploads go after (days)" 7 s3api get-bucket-lifecycle-configuration --bucket "$bucket" --query 'Rules[?AbortIncompleteMultipartUpload].AbortIncompleteMultipartUpload.DaysAfterInitiation'

group=$(aws scheduler list-schedules --query 'Schedules[?contains(Name, `nightly-app`)].GroupName')
name=$(aws scheduler list-schedules --query 'Schedules[?contains(Name, `nightly-app`)].Name')
is "schedules" 6 scheduler list-schedules --query 'length(Schedules)'
is "the nightly job runs" 'cron(0 2 \* \* ? \*) UTC ENABLED' scheduler get-schedule --group-name "$group" --name "$name" --query '[ScheduleExpression,ScheduleExpressionTimezone,State]'
is "what cannot be started is told to" 'arn:aws:sqs:*' scheduler get-schedule --group-name "$group" --name "$name" --query 'Target.DeadLetterConfig.Arn'
task=$(aws scheduler get-schedule --group-name "$group" --name "$name" --query Target.EcsParameters.TaskDefinitionArn)
is "its task needs" 'FARGATE awsvpc 1024 2048' ecs describe-task-definition --task-definition "$task" --query 'taskDefinition.[requiresCompatibilities[0],networkMode,cpu,memory]'
is "its containers" '*fetch*postgres:*' ecs describe-task-definition --task-definition "$task" --query 'taskDefinition.containerDefinitions[].[name,image][]'
role=$(aws ecs describe-task-definition --task-definition "$task" --query taskDefinition.taskRoleArn)
is "its role is for tasks" '*ecs-tasks.amazonaws.com*' iam get-role --role-name "${role##*/}" --query 'Role.AssumeRolePolicyDocument.Statement[0].Principal.Service'
is "its role may read one secret" '*secretsmanager:GetSecretValue*' iam get-role-policy --role-name "${role##*/}" --policy-name pgbackup --query 'PolicyDocument.Statement[].Action[]'

is "functions on Lambda" 4 lambda list-functions --query 'length(Functions)'
is "alarms" '*pgbackup-prod-nightly-app-overdue-*' cloudwatch describe-alarms --query 'MetricAlarms[].AlarmName'
is "silence is an alarm" 'breaching 25' cloudwatch describe-alarms --query 'MetricAlarms[?contains(AlarmName, `nightly-app-overdue`)].[TreatMissingData,EvaluationPeriods]'
is "who is told" '*ops@example.org*' sns list-subscriptions --query 'Subscriptions[].Endpoint'
for instance in acme-prod acme-billing; do
	is "$instance can be recovered for (days)" '30 02:00-03:00 True' rds describe-db-instances --db-instance-identifier "$instance" --query 'DBInstances[0].[BackupRetentionPeriod,PreferredBackupWindow,DeletionProtection]'
	is "$instance has a snapshot of its release" available rds describe-db-snapshots --db-instance-identifier "$instance" --snapshot-type manual --query 'DBSnapshots[].Status'
done
