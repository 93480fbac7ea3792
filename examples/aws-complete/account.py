"""Lists what is in an AWS account, one line for each thing, sorted: what is left
behind shows as a difference. Uses botocore, which comes with the AWS CLI."""

import os

import botocore.session

session = botocore.session.get_session()
lines = set()


def look(region, service, operation, key, name):
    client = session.create_client(service, region_name=region, endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    if client.can_paginate(operation):
        pages = client.get_paginator(operation).paginate()
    else:
        pages = [getattr(client, operation)()]
    for page in pages:
        for item in page.get(key) or []:
            lines.add(f"{service} {region} {item if isinstance(item, str) else item[name]}")


look("us-east-1", "s3", "list_buckets", "Buckets", "Name")
look("us-east-1", "iam", "list_roles", "Roles", "Arn")
for region in ("us-east-1", "eu-west-1"):
    look(region, "scheduler", "list_schedules", "Schedules", "Arn")
    look(region, "scheduler", "list_schedule_groups", "ScheduleGroups", "Arn")
    look(region, "ecs", "list_task_definitions", "taskDefinitionArns", "")
    look(region, "ecs", "list_clusters", "clusterArns", "")
    look(region, "lambda", "list_functions", "Functions", "FunctionArn")
    look(region, "logs", "describe_log_groups", "logGroups", "logGroupName")
    look(region, "sqs", "list_queues", "QueueUrls", "")
    look(region, "sns", "list_topics", "Topics", "TopicArn")
    look(region, "sns", "list_subscriptions", "Subscriptions", "SubscriptionArn")
    look(region, "cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName")
    look(region, "rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier")
    look(region, "rds", "describe_db_snapshots", "DBSnapshots", "DBSnapshotIdentifier")
    look(region, "secretsmanager", "list_secrets", "SecretList", "Name")
print("\n".join(sorted(lines)))
