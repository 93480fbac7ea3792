package providertest

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/pgbackup/terraform-provider-pgbackup/provider"
)

// AsAWS is our provider, for NewWorkspace, with a server in the place of AWS: it
// takes the server for AWS itself, and not for one that an endpoint leads to.
func AsAWS(t *testing.T, server string) Beside {
	t.Helper()
	to, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	adjust := func(cfg aws.Config) aws.Config {
		cfg.BaseEndpoint, cfg.HTTPClient = nil, &http.Client{Transport: inPlaceOfAWS{to}}
		return cfg
	}
	return Beside{Server: func() tfprotov6.ProviderServer {
		return providerserver.NewProtocol6(provider.NewWith("test", adjust)())()
	}}
}

// inPlaceOfAWS sends to a server what is meant for AWS.
type inPlaceOfAWS struct{ server *url.URL }

func (c inPlaceOfAWS) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Hostname(), ".amazonaws.com") {
		r = r.Clone(r.Context())
		r.Host = r.URL.Host
		r.URL.Scheme, r.URL.Host = c.server.Scheme, c.server.Host
	}
	return http.DefaultTransport.RoundTrip(r)
}
