package iampolicy

import "strings"

// trust is a document that lets a principal take on a role.
func trust(kind, principal string, conditions map[string]map[string][]string, actions ...string) Document {
	if len(actions) == 0 {
		actions = []string{"sts:AssumeRole"}
	}
	return Document{Statements: []Statement{{
		Principals: map[string][]string{kind: {principal}}, Actions: actions, Conditions: conditions,
	}}}
}

// TrustECSTasks is for the roles of a task: those of this account and region only,
// so that nobody else's task definition can name them (the confused deputy).
//
// Source: Amazon ECS Developer Guide, "Amazon ECS task IAM role".
func TrustECSTasks(f Facts) Document {
	return trust("Service", "ecs-tasks.amazonaws.com", map[string]map[string][]string{
		"StringEquals": {"aws:SourceAccount": {f.Account}},
		"ArnLike":      {"aws:SourceArn": {f.arn("ecs", f.Region, "*")}},
	})
}

// TrustScheduler is for the role of EventBridge schedules: those of one schedule
// group. The group, not the schedule, is what Scheduler sends as source.
//
// Source: EventBridge Scheduler User Guide, "Confused deputy prevention".
func TrustScheduler(account, groupARN string) Document {
	return trust("Service", "scheduler.amazonaws.com", map[string]map[string][]string{
		"StringEquals": {"aws:SourceAccount": {account}, "aws:SourceArn": {groupARN}},
	})
}

// TrustLambda is for the role of a function. Lambda sends neither account nor ARN
// with the call that takes on the role.
func TrustLambda() Document { return trust("Service", "lambda.amazonaws.com", nil) }

// TrustS3Replication is for the role that S3 replicates with.
func TrustS3Replication() Document { return trust("Service", "s3.amazonaws.com", nil) }

// TrustEC2 is for the role of the instance profile of a host.
func TrustEC2() Document { return trust("Service", "ec2.amazonaws.com", nil) }

// gitHubIssuer is who signs the tokens of GitHub's workflows.
const gitHubIssuer = "token.actions.githubusercontent.com"

// TrustGitHub is for the role of a workflow: runs in one repository ("org/name"),
// for the given refs such as "refs/heads/main". Without refs any run of the
// repository may take on the role, pull requests from its branches included.
//
// Source: GitHub documentation, "Configuring OpenID Connect in Amazon Web Services".
func TrustGitHub(partition, account, repository string, refs ...string) Document {
	subjects := []string{"repo:" + repository + ":*"}
	if len(refs) > 0 {
		subjects = nil
		for _, ref := range refs {
			subjects = append(subjects, "repo:"+repository+":ref:"+ref)
		}
	}
	return trust("Federated", oidcProvider(partition, account, gitHubIssuer), map[string]map[string][]string{
		"StringEquals": {gitHubIssuer + ":aud": {"sts.amazonaws.com"}},
		"StringLike":   {gitHubIssuer + ":sub": subjects},
	}, "sts:AssumeRoleWithWebIdentity")
}

// TrustIRSA is for a role that one service account of an EKS cluster takes on with
// its token. issuer is the cluster's OIDC issuer, with or without https://.
//
// Source: Amazon EKS User Guide, "IAM roles for service accounts".
func TrustIRSA(partition, account, issuer, namespace, serviceAccount string) Document {
	issuer = strings.TrimSuffix(strings.TrimPrefix(issuer, "https://"), "/")
	return trust("Federated", oidcProvider(partition, account, issuer), map[string]map[string][]string{
		"StringEquals": {
			issuer + ":aud": {"sts.amazonaws.com"},
			issuer + ":sub": {"system:serviceaccount:" + namespace + ":" + serviceAccount},
		},
	}, "sts:AssumeRoleWithWebIdentity")
}

// TrustPodIdentity is for a role that EKS Pod Identity gives to one service
// account. EKS sends namespace and name as tags of the session.
//
// Source: Amazon EKS User Guide, "EKS Pod Identity role".
func TrustPodIdentity(namespace, serviceAccount string) Document {
	return trust("Service", "pods.eks.amazonaws.com", map[string]map[string][]string{
		"StringEquals": {
			"aws:RequestTag/kubernetes-namespace":       {namespace},
			"aws:RequestTag/kubernetes-service-account": {serviceAccount},
		},
	}, "sts:AssumeRole", "sts:TagSession")
}

func oidcProvider(partition, account, issuer string) string {
	return Facts{Partition: partition, Account: account}.arn("iam", "", "oidc-provider/"+issuer)
}
