package main

import (
	"context"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awsrds "github.com/aws/aws-sdk-go-v2/service/rds"
	rdstypes "github.com/aws/aws-sdk-go-v2/service/rds/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/iampolicy"
)

// permission is what IAM is asked when a call is made.
type permission struct {
	action, resource string
	context          map[string][]string // values of condition keys
}

func (p permission) String() string {
	return fmt.Sprintf("%s on %s %v", p.action, p.resource, p.context)
}

// recorder writes down what IAM would be asked for every call to AWS that a run
// makes.
type recorder struct {
	account, region, repository string // for the names and tags of resources

	mu      sync.Mutex
	asked   []permission
	strange []string // calls this test does not know
}

// record is an option of the SDK.
func (r *recorder) record(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("record", func(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
		service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
		asked, known := r.permissions(service, operation, in.Parameters)
		r.mu.Lock()
		if r.asked = append(r.asked, asked...); !known {
			r.strange = append(r.strange, service+" "+operation)
		}
		r.mu.Unlock()
		return next.HandleInitialize(ctx, in)
	}), middleware.After)
}

// permissions says what a call asks for.
//
// Source: Service Authorization Reference, the tables of actions of each service.
func (r *recorder) permissions(service, operation string, in any) ([]permission, bool) {
	text := func(name string) string { return fieldOf(in, name) }
	arn := func(service, what string) string {
		return "arn:aws:" + service + ":" + r.region + ":" + r.account + ":" + what
	}
	switch service {
	case "S3":
		return s3Permissions(operation, in)
	case "KMS":
		context := map[string][]string{}
		encryption, _ := reflect.Indirect(reflect.ValueOf(in)).FieldByName("EncryptionContext").Interface().(map[string]string)
		for key, value := range encryption {
			context["kms:EncryptionContextKeys"] = append(context["kms:EncryptionContextKeys"], key)
			context["kms:EncryptionContext:"+key] = []string{value}
		}
		return []permission{{"kms:" + operation, text("KeyId"), context}}, true
	case "Secrets Manager":
		return []permission{{"secretsmanager:" + operation, arn("secretsmanager", "secret:"+text("SecretId")+"-AbCdEf"), nil}}, true
	case "SSM":
		return []permission{{"ssm:" + operation, arn("ssm", "parameter/"+strings.TrimPrefix(text("Name"), "/")), nil}}, true
	case "CloudWatch":
		return []permission{{"cloudwatch:" + operation, "*", map[string][]string{"cloudwatch:namespace": {text("Namespace")}}}}, true
	case "STS":
		return nil, operation == "GetCallerIdentity" // which nobody needs a permission for
	case "RDS":
		return r.rdsPermissions(operation, in, arn)
	}
	return nil, false
}

func s3Permissions(operation string, in any) ([]permission, bool) {
	bucket := "arn:aws:s3:::" + fieldOf(in, "Bucket")
	object := bucket + "/" + fieldOf(in, "Key")
	version := ""
	if fieldOf(in, "VersionId") != "" {
		version = "Version"
	}
	switch operation {
	case "GetObject", "HeadObject":
		return []permission{{"s3:GetObject" + version, object, nil}}, true
	case "PutObject", "CreateMultipartUpload":
		list := []permission{{"s3:PutObject", object, nil}}
		if fieldOf(in, "Tagging") != "" {
			list = append(list, permission{"s3:PutObjectTagging", object, nil})
		}
		if fieldOf(in, "ObjectLockMode") != "" {
			list = append(list, permission{"s3:PutObjectRetention", object, nil})
		}
		return list, true
	case "UploadPart", "CompleteMultipartUpload":
		return []permission{{"s3:PutObject", object, nil}}, true
	case "DeleteObject":
		return []permission{{"s3:DeleteObject" + version, object, nil}}, true
	case "DeleteObjects":
		var list []permission
		input, _ := in.(*awss3.DeleteObjectsInput)
		for _, o := range input.Delete.Objects {
			list = append(list, permission{"s3:DeleteObject", bucket + "/" + aws.ToString(o.Key), nil})
		}
		return list, true
	case "AbortMultipartUpload", "GetObjectTagging", "PutObjectTagging", "GetObjectRetention", "PutObjectRetention":
		return []permission{{"s3:" + operation, object, nil}}, true
	case "ListMultipartUploads":
		return []permission{{"s3:ListBucketMultipartUploads", bucket, nil}}, true
	case "ListObjectsV2":
		return []permission{{"s3:ListBucket", bucket, map[string][]string{"s3:prefix": {fieldOf(in, "Prefix")}}}}, true
	}
	return nil, false
}

func (r *recorder) rdsPermissions(operation string, in any, arn func(service, what string) string) ([]permission, bool) {
	on := func(kind, id string) string {
		if id == "" {
			id = "*" // a search is held against all there are
		}
		return arn("rds", kind+":"+id)
	}
	source, snapshot, group := "db", "snapshot", "pg"
	if strings.Contains(operation, "Cluster") {
		source, snapshot, group = "cluster", "cluster-snapshot", "cluster-pg"
	}
	name := fieldOf(in, "DBSnapshotIdentifier") + fieldOf(in, "DBClusterSnapshotIdentifier")
	id := fieldOf(in, "DBInstanceIdentifier") + fieldOf(in, "DBClusterIdentifier")
	action := "rds:" + operation
	switch operation {
	case "DescribeDBInstances", "DescribeDBClusters":
		return []permission{{action, on(source, id), nil}}, true
	case "DescribeDBParameters", "DescribeDBClusterParameters":
		return []permission{{action, on(group, fieldOf(in, "DBParameterGroupName")+fieldOf(in, "DBClusterParameterGroupName")), nil}}, true
	case "DescribeDBSnapshots", "DescribeDBClusterSnapshots":
		return []permission{{action, on(snapshot, name), nil}, {action, on(source, id), nil}}, true
	case "CreateDBSnapshot", "CreateDBClusterSnapshot":
		tags, _ := reflect.Indirect(reflect.ValueOf(in)).FieldByName("Tags").Interface().([]rdstypes.Tag)
		return []permission{
			{action, on(source, id), nil}, {action, on(snapshot, name), nil},
			{"rds:AddTagsToResource", on(snapshot, name), requestTags(tags)},
		}, true
	case "AddTagsToResource":
		input, _ := in.(*awsrds.AddTagsToResourceInput)
		return []permission{{action, aws.ToString(input.ResourceName), requestTags(input.Tags)}}, true
	case "DeleteDBSnapshot", "DeleteDBClusterSnapshot":
		return []permission{{action, on(snapshot, name), map[string][]string{"aws:ResourceTag/pgbackup:repository": {r.repository}}}}, true
	}
	return r.temporaryPermissions(operation, in, arn)
}

func requestTags(tags []rdstypes.Tag) map[string][]string {
	context := map[string][]string{}
	for _, t := range tags {
		context["aws:RequestTag/"+aws.ToString(t.Key)] = []string{aws.ToString(t.Value)}
	}
	return context
}

// fieldOf reads a text of an input of the SDK, "" where it has none of that name.
func fieldOf(in any, name string) string {
	v := reflect.Indirect(reflect.ValueOf(in)).FieldByName(name)
	if !v.IsValid() {
		return ""
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	return v.String()
}

// allowing finds the grant that allows something, as IAM evaluates a policy that
// has Allow statements only.
func allowing(d iampolicy.Document, p permission) (grant string, ok bool) {
	for _, s := range d.Statements {
		i := slices.IndexFunc(s.Resources, func(pattern string) bool { return like(pattern, p.resource) })
		if i >= 0 && slices.Contains(s.Actions, p.action) && met(s.Conditions, p.context) {
			return grantOf(s, p.action, s.Resources[i]), true
		}
	}
	return "", false
}

// grantOf is what has to be used for a policy to be no larger than it must: an
// action, and of what changes objects also each kind of them. Reading is allowed
// for all that says what there is, whether or not there is any of it.
func grantOf(s iampolicy.Statement, action, resource string) string {
	if action == "s3:PutObject" || action == "s3:DeleteObject" {
		_, family, _ := strings.Cut(strings.TrimSuffix(resource, "/*"), "/")
		return s.Sid + ": " + action + " on " + path.Base(family)
	}
	return s.Sid + ": " + action
}

// grants of a document.
func grants(d iampolicy.Document) (list []string) {
	for _, s := range d.Statements {
		for _, action := range s.Actions {
			for _, resource := range s.Resources {
				list = append(list, grantOf(s, action, resource))
			}
		}
	}
	return list
}

// met evaluates conditions. A key that the call does not have fails every one.
func met(conditions map[string]map[string][]string, context map[string][]string) bool {
	for operator, keys := range conditions {
		for key, wanted := range keys {
			equal := func(a, b string) bool { return a == b }
			if strings.HasSuffix(operator, "Like") {
				equal = like
			}
			if !slices.ContainsFunc(context[key], func(have string) bool {
				return slices.ContainsFunc(wanted, func(want string) bool { return equal(want, have) })
			}) {
				return false
			}
		}
	}
	return true
}

// like is IAM's: '*' is anything, slashes too, '?' any one letter.
func like(pattern, text string) bool {
	flat := func(s string) string { return strings.ReplaceAll(s, "/", "\x00") }
	ok, err := path.Match(strings.NewReplacer("[", `\[`, `\`, `\\`).Replace(flat(pattern)), flat(text))
	return err == nil && ok
}
