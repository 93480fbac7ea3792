package provider

import "regexp"

// httpURL is what an endpoint begins with; the rest is the SDK's to judge.
var httpURL = regexp.MustCompile(`^https?://[^/]+`)
