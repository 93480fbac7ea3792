package s3

// Explain words an error of the SDK's S3 client as this package words its own:
// one line that says what to do, and the port's type where it has one. region is
// the one the client was made for. It is for what administers buckets.
func Explain(err error, region string) error { return (&Store{region: region}).classify(err) }
