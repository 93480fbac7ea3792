package testenv

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// EC2 asks the EC2 of the server, which has a default VPC, and gives the first
// group that pattern finds in the answer: `<subnetId>(.*?)<`. Nothing else of EC2
// is needed, and its SDK is a large one.
func (s *AWSServer) EC2(t testing.TB, action, pattern string) string {
	t.Helper()
	form := url.Values{"Action": {action}, "Version": {"2016-11-15"}}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	// By this moto knows which service is meant; it checks no signature.
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=testing/20260101/"+s.Region+"/ec2/aws4_request, SignedHeaders=host, Signature=0")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(pattern).FindSubmatch(body)
	if m == nil {
		t.Fatalf("%s: %s is not in %s", action, pattern, body)
	}
	return string(m[1])
}
