package s3

import "github.com/aws/aws-sdk-go-v2/aws"

// What else speaks S3 through the SDK than a Store, such as what administers
// buckets, takes its words from here.

// Explain words an error of the SDK's S3 client as this package words its own:
// one line that says what to do, and the port's type where it has one. region is
// the one the client was made for.
func Explain(err error, region string) error { return (&Store{region: region}).classify(err) }

// Answer gives the code and the HTTP status a server answered an error with: ""
// and 0 when it did not answer.
func Answer(err error) (string, int) { return code(err), status(err) }

// Credentials bounds the search for credentials, and lets Explain tell one that
// failed from a server that can not be reached.
func Credentials(p aws.CredentialsProvider) aws.CredentialsProvider {
	return aws.NewCredentialsCache(credentials{p})
}
