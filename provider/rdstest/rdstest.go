// Package rdstest is what the acceptance tests about RDS share: an emulated account
// with a database, and in front of it the answers of AWS that the emulator lacks, in
// the form the API documents.
//
// What must not live here: assertions, and anything a non-test package imports.
package rdstest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awssdk "github.com/aws/aws-sdk-go-v2/service/rds"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// Account that the emulator plays.
const Account = "123456789012"

// Instance there is in every account.
const Instance = "acme-prod"

// ARN of that instance.
const ARN = "arn:aws:rds:us-east-1:" + Account + ":db:" + Instance

// World is an account with one instance that keeps 14 days.
type World struct {
	t     testing.TB
	URL   string // of the front
	API   *rds.Client
	Raw   *awssdk.Client
	proxy *httputil.ReverseProxy

	mu          sync.Mutex
	refuse      map[string]string // action -> error code
	replicas    map[string]string // region -> retention in days
	awsBackup   string
	maintenance bool
	calls       map[string]int
	after       map[string]func()
}

// New starts the emulator, makes the instance and gives the process credentials.
// Tests that use it cannot be parallel.
func New(t *testing.T) *World {
	t.Helper()
	server := testenv.AWS(t)
	for _, pair := range server.Env() {
		name, value, _ := strings.Cut(pair, "=")
		if name != "AWS_ENDPOINT_URL" {
			t.Setenv(name, value)
		}
	}
	to, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	w := &World{t: t, refuse: map[string]string{}, replicas: map[string]string{}, calls: map[string]int{}, after: map[string]func(){}}
	w.proxy = &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, ModifyResponse: w.change}
	front := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(front.Close)
	w.URL = front.URL
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &w.URL, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
	w.API, w.Raw = rds.New(cfg), awssdk.NewFromConfig(cfg)
	_, err = w.Raw.CreateDBInstance(t.Context(), &awssdk.CreateDBInstanceInput{
		DBInstanceIdentifier: aws.String(Instance), DBInstanceClass: aws.String("db.t3.micro"), Engine: aws.String("postgres"), AllocatedStorage: aws.Int32(20),
		BackupRetentionPeriod: aws.Int32(14), PreferredBackupWindow: aws.String("03:00-04:00"), PreferredMaintenanceWindow: aws.String("sun:05:00-sun:06:00"),
		MasterUsername: aws.String("app"), MasterUserPassword: aws.String("not-a-secret"), PubliclyAccessible: aws.Bool(false),
	})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Provider is the configuration of the provider for this world.
func (w *World) Provider() string {
	return fmt.Sprintf("provider \"pgbackup\" {\n  region = \"us-east-1\"\n  max_retries = 1\n  endpoints = {\n    rds = %q\n    sts = %q\n  }\n}\n", w.URL, w.URL)
}

// Refuse answers a call with an error of this code; "" lets it through again.
func (w *World) Refuse(action, code string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse[action] = code
}

// After does something once, when a call was answered.
func (w *World) After(action string, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.after[action] = do
}

// AWSBackup says that AWS Backup owns the automated backups.
func (w *World) AWSBackup(arn string) { w.mu.Lock(); defer w.mu.Unlock(); w.awsBackup = arn }

// Maintenance says that RDS has an update pending.
func (w *World) Maintenance() { w.mu.Lock(); defer w.mu.Unlock(); w.maintenance = true }

// Replica is for how many days copies are kept in a region, "" for no copies.
func (w *World) Replica(region string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.replicas[region]
}

// EndReplica ends the copying by somebody else's hand.
func (w *World) EndReplica(region string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.replicas, region)
}

// Calls is how often something was asked.
func (w *World) Calls(action string) int { w.mu.Lock(); defer w.mu.Unlock(); return w.calls[action] }

// Database as it is now.
func (w *World) Database() rds.Database {
	w.t.Helper()
	db, err := w.API.Database(w.t.Context(), rds.Target{ID: Instance})
	if err != nil {
		w.t.Fatal(err)
	}
	return db
}

// Set changes the instance by somebody else's hand.
func (w *World) Set(days int) {
	w.t.Helper()
	if err := w.API.Change(w.t.Context(), rds.Target{ID: Instance}, rds.Change{RetentionDays: &days}); err != nil {
		w.t.Fatal(err)
	}
}

func replicaARN(region string) string {
	return "arn:aws:rds:" + region + ":" + Account + ":auto-backup:ab-" + strings.ReplaceAll(region, "-", "")
}

func (w *World) serve(out http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		http.Error(out, err.Error(), http.StatusInternalServerError)
		return
	}
	req.Body = io.NopCloser(strings.NewReader(string(body)))
	form, _ := url.ParseQuery(string(body))
	action := form.Get("Action")
	w.mu.Lock()
	w.calls[action]++
	code := w.refuse[action]
	w.mu.Unlock()
	out.Header().Set("Content-Type", "text/xml")
	if code != "" {
		status := http.StatusBadRequest
		if code == "AccessDenied" {
			status = http.StatusForbidden
		}
		out.WriteHeader(status)
		_, _ = fmt.Fprintf(out, "<ErrorResponse><Error><Type>Sender</Type><Code>%s</Code><Message>as AWS says it</Message></Error><RequestId>r-1</RequestId></ErrorResponse>", code)
		return
	}
	if answer, ok := w.answer(action, form, req.Header.Get("Authorization")); ok {
		_, _ = io.WriteString(out, answer)
		return
	}
	out.Header().Del("Content-Type")
	req.Header.Set("X-Rdstest-Action", action)
	w.proxy.ServeHTTP(out, req)
	w.mu.Lock()
	then := w.after[action]
	delete(w.after, action)
	w.mu.Unlock()
	if then != nil {
		then()
	}
}

// answer is what AWS says to a call that the emulator does not know.
func (w *World) answer(action string, form url.Values, authorization string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	wrap := func(inner string) (string, bool) {
		return "<" + action + "Response><" + action + "Result>" + inner + "</" + action + "Result></" + action + "Response>", true
	}
	region := ""
	if scope := strings.Split(authorization, "/"); len(scope) > 2 {
		region = scope[2] // where the request was signed for is where it goes
	}
	backup := func(region string) string {
		return fmt.Sprintf("<DBInstanceAutomatedBackupsArn>%s</DBInstanceAutomatedBackupsArn><Status>replicating</Status><BackupRetentionPeriod>%s</BackupRetentionPeriod>", replicaARN(region), w.replicas[region])
	}
	switch action {
	case "DescribePendingMaintenanceActions":
		if !w.maintenance {
			return wrap("<PendingMaintenanceActions/>")
		}
		return wrap("<PendingMaintenanceActions><ResourcePendingMaintenanceActions><ResourceIdentifier>" + ARN + "</ResourceIdentifier><PendingMaintenanceActionDetails><PendingMaintenanceAction><Action>system-update</Action><Description>New Operating System update is available</Description><ForcedApplyDate>2027-01-31T00:00:00Z</ForcedApplyDate></PendingMaintenanceAction></PendingMaintenanceActionDetails></ResourcePendingMaintenanceActions></PendingMaintenanceActions>")
	case "StartDBInstanceAutomatedBackupsReplication":
		w.replicas[region] = form.Get("BackupRetentionPeriod")
		return wrap("<DBInstanceAutomatedBackup>" + backup(region) + "</DBInstanceAutomatedBackup>")
	case "StopDBInstanceAutomatedBackupsReplication":
		delete(w.replicas, region)
		return wrap("")
	case "DescribeDBInstanceAutomatedBackups":
		if w.replicas[region] == "" {
			return wrap("<DBInstanceAutomatedBackups/>")
		}
		return wrap("<DBInstanceAutomatedBackups><DBInstanceAutomatedBackup>" + backup(region) + "</DBInstanceAutomatedBackup></DBInstanceAutomatedBackups>")
	}
	return "", false
}

// change adds to the emulator's description of an instance what it does not keep.
func (w *World) change(resp *http.Response) error {
	if resp.Request.Header.Get("X-Rdstest-Action") != "DescribeDBInstances" || resp.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	w.mu.Lock()
	more := ""
	for region := range w.replicas {
		more += "<DBInstanceAutomatedBackupsReplication><DBInstanceAutomatedBackupsArn>" + replicaARN(region) + "</DBInstanceAutomatedBackupsArn></DBInstanceAutomatedBackupsReplication>"
	}
	if more != "" {
		more = "<DBInstanceAutomatedBackupsReplications>" + more + "</DBInstanceAutomatedBackupsReplications>"
	}
	if w.awsBackup != "" {
		more += "<AwsBackupRecoveryPointArn>" + w.awsBackup + "</AwsBackupRecoveryPointArn>"
	}
	w.mu.Unlock()
	text := strings.ReplaceAll(string(body), "</DBInstance>", more+"</DBInstance>")
	resp.Body, resp.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	resp.Header.Set("Content-Length", fmt.Sprint(len(text)))
	return nil
}
