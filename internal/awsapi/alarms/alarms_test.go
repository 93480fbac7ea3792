package alarms_test

import (
	"compress/gzip"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/alarm"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/alarms"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/metric"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/testenv"
)

// answering is a client of a server that answers each action as the API of AWS
// documents it, and the actions it was asked for.
func answering(t *testing.T, answer func(action string, form url.Values) (status int, body string)) (*alarms.Client, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body io.Reader = r.Body
		if r.Header.Get("Content-Encoding") == "gzip" { // as the SDK sends numbers
			unzipped, err := gzip.NewReader(r.Body)
			if err != nil {
				t.Error(err)
				return
			}
			body = unzipped
		}
		data, _ := io.ReadAll(body)
		form, _ := url.ParseQuery(string(data))
		mu.Lock()
		asked = append(asked, form.Get("Action"))
		mu.Unlock()
		status, text := answer(form.Get("Action"), form)
		w.Header().Set("Content-Type", "text/xml")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	client := alarms.New(aws.Config{Region: "us-east-1", BaseEndpoint: aws.String(server.URL), RetryMaxAttempts: 1, Credentials: credentials.NewStaticCredentialsProvider("testing", "testing", "")})
	return client, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), asked...)
	}
}

const topic = "arn:aws:sns:us-east-1:123456789012:pgbackup-prod-0a1b2c3d"

func TestAnAddressNobodyConfirmedIsPendingAndCannotBeUnsubscribed(t *testing.T) {
	t.Parallel()
	client, asked := answering(t, func(string, url.Values) (int, string) {
		return http.StatusOK, `<ListSubscriptionsByTopicResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ListSubscriptionsByTopicResult><Subscriptions>
			<member><TopicArn>` + topic + `</TopicArn><Protocol>email</Protocol><SubscriptionArn>PendingConfirmation</SubscriptionArn><Owner>123456789012</Owner><Endpoint>ops@example.org</Endpoint></member>
			<member><TopicArn>` + topic + `</TopicArn><Protocol>email</Protocol><SubscriptionArn>` + topic + `:80289ba6-0fd4-4079-afb4-ce8c8260f0ca</SubscriptionArn><Owner>123456789012</Owner><Endpoint>dba@example.org</Endpoint></member>
			<member><TopicArn>` + topic + `</TopicArn><Protocol>https</Protocol><SubscriptionArn>` + topic + `:1</SubscriptionArn><Owner>123456789012</Owner><Endpoint>https://example.org</Endpoint></member>
			</Subscriptions></ListSubscriptionsByTopicResult></ListSubscriptionsByTopicResponse>`
	})
	list, err := client.Subscriptions(t.Context(), topic)
	if err != nil || len(list) != 2 || !list[0].Pending || list[0].ARN != "" || list[1].Pending || list[1].Email != "dba@example.org" {
		t.Fatalf("%+v, %v", list, err)
	}
	pending, err := client.Unsubscribe(t.Context(), list[0])
	if !pending || err != nil || strings.Contains(strings.Join(asked(), " "), "Unsubscribe") {
		t.Errorf("pending %t, %v; asked %v", pending, err, asked())
	}
}

func TestARefusalNamesTheAlarmAndThePermission(t *testing.T) {
	t.Parallel()
	client, _ := answering(t, func(string, url.Values) (int, string) {
		return http.StatusForbidden, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>User: arn:aws:iam::123456789012:user/dev is not authorized to perform: cloudwatch:PutMetricAlarm</Message></Error></ErrorResponse>`
	})
	a, err := alarm.Plan(alarm.Spec{Repository: "s3://a/b", Policy: "prod", Failed: true})
	if err != nil {
		t.Fatal(err)
	}
	err = client.Put(t.Context(), a[0], nil, nil, nil)
	if !errors.Is(err, awsapi.ErrDenied) || !strings.Contains(err.Error(), "creating CloudWatch alarm ("+a[0].Name+")") || !strings.Contains(err.Error(), "allow this identity cloudwatch:PutMetricAlarm") {
		t.Errorf("%v", err)
	}
}

func TestTheFirstPointIsWaitedForUntilItShows(t *testing.T) {
	t.Parallel()
	looks := 0
	client, asked := answering(t, func(action string, _ url.Values) (int, string) {
		if action == "PutMetricData" {
			return http.StatusOK, `<PutMetricDataResponse/>`
		}
		values := ""
		if looks++; looks > 2 {
			values = "<member>1.0</member>"
		}
		return http.StatusOK, `<GetMetricDataResponse xmlns="http://monitoring.amazonaws.com/doc/2010-08-01/"><GetMetricDataResult><MetricDataResults><member><Id>m0</Id><Values>` + values + `</Values></member></MetricDataResults></GetMetricDataResult></GetMetricDataResponse>`
	})
	series := alarm.Series{Metric: metric.Armed, Statistic: "Sum", Dimensions: map[string]string{metric.DimensionPolicy: "prod"}}
	if err := client.Arm(t.Context(), []alarm.Series{series}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(asked(), " "); got != "PutMetricData GetMetricData GetMetricData GetMetricData" {
		t.Errorf("asked %s", got)
	}
}

func TestAnAlarmComesBackAsItWasPut(t *testing.T) {
	t.Parallel()
	server := testenv.AWS(t)
	client := alarms.New(server.Config())
	planned, err := alarm.Plan(alarm.Spec{
		Repository: "s3://acme/prod", Policy: "prod", Jobs: []string{"nightly"}, OverdueAfter: 25 * time.Hour, Failed: true, Size: &alarm.Size{Below: 50, Above: 200},
		StorageAbove: 5e11, GrowthPerDay: 1e10, WALLag: 15 * time.Minute, WALGap: true, Drill: &alarm.Drill{Jobs: []string{"weekly"}, OverdueAfter: 8 * 24 * time.Hour},
	})
	if err != nil {
		t.Fatal(err)
	}
	var wanted []alarms.Live
	for _, a := range planned {
		wanted = append(wanted, alarms.Live{Alarm: a, Actions: []string{topic}})
		if err := client.Put(t.Context(), a, []string{topic}, nil, map[string]string{awsapi.TagManagedBy: awsapi.Terraform, awsapi.TagGeneration: "one"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.Refuse(t.Context(), wanted); err != nil {
		t.Errorf("what is there is not as it was put: %v", err)
	}
	if err := client.Remove(t.Context(), []string{planned[0].Name}, "another"); err != nil {
		t.Fatal(err)
	}
	if there, err := client.Read(t.Context(), []string{planned[0].Name}); err != nil || len(there) != 1 {
		t.Errorf("an alarm of another generation was removed: %v, %v", there, err)
	}
	if err := client.Remove(t.Context(), []string{planned[0].Name, "never-there"}, "one"); err != nil {
		t.Fatal(err)
	}
	if there, err := client.Read(t.Context(), []string{planned[0].Name}); err != nil || len(there) != 0 {
		t.Errorf("still there: %v, %v", there, err)
	}
}
