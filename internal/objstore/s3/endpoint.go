package s3

import (
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
)

// OtherServer is the URL of the server that an AWS configuration uses for S3, by
// AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 or the shared configuration, where that is
// not AWS itself; "" for AWS. A VPC endpoint is AWS.
func OtherServer(cfg aws.Config) string {
	return other(awss3.NewFromConfig(cfg).Options().BaseEndpoint)
}

func other(base *string) string {
	u, err := url.Parse(aws.ToString(base))
	if err != nil || u.Host == "" {
		return ""
	}
	for _, own := range []string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".api.amazonwebservices.com.cn"} {
		if strings.HasSuffix(u.Hostname(), own) {
			return ""
		}
	}
	return aws.ToString(base)
}
