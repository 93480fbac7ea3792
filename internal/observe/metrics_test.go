package observe

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

func numbers(at time.Time) Numbers {
	return Numbers{
		At: at, Repository: "s3://acme/prod", Policy: "prod", Job: "nightly",
		Run:  map[metric.Name]float64{metric.Succeeded: 1, metric.Failed: 0, metric.Duration: 61.5, metric.StoredBytes: 300},
		Many: map[metric.Name][]float64{metric.SizeRatio: {101, 31}, metric.DrillAge: nil},
		Own:  map[metric.Name]float64{metric.DrillCouldNotRun: 0},
		Sources: map[string]map[metric.Name]float64{
			"straße@db1": {metric.StoredBytes: 100},
			"app@db1":    {metric.StoredBytes: 200},
		},
	}
}

func TestTheEmbeddedFormatIsThatOfCloudWatch(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := WriteEMF(&out, numbers(time.UnixMilli(1772330584123))); err != nil {
		t.Fatal(err)
	}
	want := []string{
		`{"Duration":61.5,"Failed":0,"Job":"nightly","Policy":"prod","Repository":"s3://acme/prod","SizeRatio":[31,101],"StoredBytes":300,"Succeeded":1,"_aws":{"CloudWatchMetrics":[{"Namespace":"pgbackup",` +
			`"Dimensions":[["Repository","Policy"],["Repository","Policy","Job"]],"Metrics":[{"Name":"Duration","Unit":"Seconds"},{"Name":"Failed","Unit":"Count"},{"Name":"SizeRatio","Unit":"Percent"},{"Name":"StoredBytes","Unit":"Bytes"},{"Name":"Succeeded","Unit":"Count"}]}],"Timestamp":1772330584123}}`,
		`{"DrillCouldNotRun":0,"Job":"nightly","Policy":"prod","Repository":"s3://acme/prod","_aws":{"CloudWatchMetrics":[{"Namespace":"pgbackup","Dimensions":[["Repository","Policy","Job"]],` +
			`"Metrics":[{"Name":"DrillCouldNotRun","Unit":"Count"}]}],"Timestamp":1772330584123}}`,
		`{"Job":"nightly","Policy":"prod","Repository":"s3://acme/prod","Source":"app@db1","StoredBytes":200,"_aws":{"CloudWatchMetrics":[{"Namespace":"pgbackup","Dimensions":[["Repository","Policy","Job","Source"]],` +
			`"Metrics":[{"Name":"StoredBytes","Unit":"Bytes"}]}],"Timestamp":1772330584123}}`,
		`{"Job":"nightly","Policy":"prod","Repository":"s3://acme/prod","Source":"stra?e@db1","StoredBytes":100,"_aws":{"CloudWatchMetrics":[{"Namespace":"pgbackup","Dimensions":[["Repository","Policy","Job","Source"]],` +
			`"Metrics":[{"Name":"StoredBytes","Unit":"Bytes"}]}],"Timestamp":1772330584123}}`,
	}
	if got := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", out.String(), strings.Join(want, "\n"))
	}
}

// A dimension without a value is refused by CloudWatch, and in a log it would make
// the whole line worthless.
func TestADimensionWithoutAValueIsLeftOut(t *testing.T) {
	t.Parallel()
	n := numbers(now)
	n.Policy = ""
	var out bytes.Buffer
	if err := WriteEMF(&out, n); err != nil {
		t.Fatal(err)
	}
	var line struct {
		AWS struct {
			CloudWatchMetrics []struct{ Dimensions [][]string }
		} `json:"_aws"`
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatal(err)
	}
	got := line.AWS.CloudWatchMetrics[0].Dimensions
	if len(got) != 2 || !slices.Equal(got[0], []string{"Repository"}) || !slices.Equal(got[1], []string{"Repository", "Job"}) {
		t.Errorf("%v", got)
	}
}

func TestNumbersArriveInCloudWatchUnderEverySetOfDimensions(t *testing.T) {
	t.Parallel()
	srv := testenv.AWS(t)
	cfg := aws.Config{Region: srv.Region, BaseEndpoint: &srv.Endpoint, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")}
	at := time.Now()
	if err := PutMetrics(t.Context(), cfg, numbers(at)); err != nil {
		t.Fatal(err)
	}
	client := cloudwatch.NewFromConfig(cfg)
	dimension := func(pairs ...string) []types.Dimension {
		var list []types.Dimension
		for i := 0; i < len(pairs); i += 2 {
			list = append(list, types.Dimension{Name: &pairs[i], Value: &pairs[i+1]})
		}
		return list
	}
	policy := []string{"Repository", "s3://acme/prod", "Policy", "prod"}
	run := append(slices.Clone(policy), "Job", "nightly")
	for _, c := range []struct {
		name       string
		dimensions []types.Dimension
		want       float64
	}{
		{"Succeeded", dimension(policy...), 1},
		{"Succeeded", dimension(run...), 1},
		{"Duration", dimension(run...), 61.5},
		{"StoredBytes", dimension(policy...), 300},
		{"SizeRatio", dimension(policy...), 101},
		{"StoredBytes", dimension(append(slices.Clone(run), "Source", "app@db1")...), 200},
		{"StoredBytes", dimension(append(slices.Clone(run), "Source", "stra?e@db1")...), 100},
	} {
		out, err := client.GetMetricStatistics(t.Context(), &cloudwatch.GetMetricStatisticsInput{
			Namespace: aws.String("pgbackup"), MetricName: &c.name, Dimensions: c.dimensions, Period: aws.Int32(3600),
			StartTime: aws.Time(at.Add(-time.Hour)), EndTime: aws.Time(at.Add(time.Hour)), Statistics: []types.Statistic{types.StatisticMaximum},
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Datapoints) != 1 || *out.Datapoints[0].Maximum != c.want {
			t.Errorf("%s: %+v; want %v", c.name, out.Datapoints, c.want)
		}
	}
	listed, err := client.ListMetrics(t.Context(), &cloudwatch.ListMetricsInput{Namespace: aws.String("pgbackup")})
	if err != nil {
		t.Fatal(err)
	}
	distinct := map[string]bool{} // the emulator lists a metric once for each value
	for _, m := range listed.Metrics {
		key := *m.MetricName
		for _, d := range m.Dimensions {
			key += " " + *d.Value
		}
		distinct[key] = true
	}
	if want := 5*2 + 1 + 2; len(distinct) != want {
		t.Errorf("%d metrics, want %d: each costs money: %v", len(distinct), want, distinct)
	}
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	t.Parallel()
	srv := receive(t, refuseCloudWatch)
	cfg := aws.Config{Region: "us-east-1", BaseEndpoint: &srv.URL, Credentials: credentials.NewStaticCredentialsProvider("a", "b", "")}
	err := PutMetrics(t.Context(), cfg, numbers(now))
	if !errors.Is(err, awsapi.ErrDenied) || !strings.Contains(err.Error(), "publishing CloudWatch metrics (pgbackup)") || !strings.Contains(err.Error(), "cloudwatch:PutMetricData") {
		t.Error(err)
	}
}

// refuseCloudWatch answers as CloudWatch does to an identity without rights.
func refuseCloudWatch(_ int, w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(http.StatusForbidden)
	_, _ = io.WriteString(w, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>User is not authorized to perform: cloudwatch:PutMetricData</Message></Error><RequestId>r</RequestId></ErrorResponse>`)
}
