package s3

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
)

func TestAServerNamedByTheEnvironmentIsNotAWSUnlessItIs(t *testing.T) {
	for url, want := range map[string]string{
		"":                          "",
		"http://127.0.0.1:4566":     "http://127.0.0.1:4566",
		"https://minio.example.org": "https://minio.example.org",
		"https://bucket.vpce-0a1b-2c3d.s3.eu-west-1.vpce.amazonaws.com": "",
		"https://s3.dualstack.us-east-1.amazonaws.com":                  "",
	} {
		for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"} {
			t.Run(name+"="+url, func(t *testing.T) {
				t.Setenv("AWS_REGION", "eu-west-1")
				if url != "" {
					t.Setenv(name, url)
				}
				cfg, err := config.LoadDefaultConfig(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if got := OtherServer(cfg); got != want {
					t.Errorf("%q", got)
				}
				store, err := Open(t.Context(), Config{Bucket: "bucket", AWSConfig: &cfg})
				if err != nil {
					t.Fatal(err)
				}
				if got := store.client.Options().UsePathStyle; got != (want != "") {
					t.Errorf("path style is %t", got)
				}
			})
		}
	}
	if got := OtherServer(aws.Config{Region: "eu-west-1"}); got != "" {
		t.Errorf("plain AWS is %q", got)
	}
}
