package impact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
)

// ApprovalLife is for how long a code is good after the moment it was made at.
const ApprovalLife = 7 * 24 * time.Hour

// Code names one loss: EXPIRE-16-9c41d2 for 16 points. It depends on the
// repository, the policy, the meaning of the rules before (nil for none) and
// after, with ceiling and time zone, and on the points; on nothing else. The
// empty set has no code: "".
func Code(repository, policyName string, before *retention.Rules, after retention.Rules, lost Set) string {
	if lost.Len() == 0 {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "pgbackup loss 1\nrepository %q\npolicy %q\n", repository, policyName)
	if before == nil {
		fmt.Fprint(h, "before nothing\n")
	} else {
		fmt.Fprintf(h, "before %s\n", canonical(*before))
	}
	fmt.Fprintf(h, "after %s\n", canonical(after))
	fmt.Fprintf(h, "points %d %x\n", lost.Len(), lost.hash())
	return fmt.Sprintf("EXPIRE-%d-%s", lost.Len(), hex.EncodeToString(h.Sum(nil)[:3]))
}

// canonical writes rules by their meaning: 24h and 1d give the same.
func canonical(r retention.Rules) string {
	var parts []string
	for _, f := range r.Fields() {
		switch {
		case f.Count != nil && *f.Count != 0:
			parts = append(parts, fmt.Sprintf("%s=%d", f.Name, *f.Count))
		case f.Span != nil && !f.Span.IsZero():
			parts = append(parts, f.Name+"="+f.Span.Canonical())
		}
	}
	if !r.ExpireAfter.IsZero() {
		parts = append(parts, "expire_after="+r.ExpireAfter.Canonical())
	}
	zone := "UTC"
	if r.Location != nil {
		zone = r.Location.String()
	}
	return strings.Join(append(parts, "timezone="+zone), " ")
}

var codePattern = regexp.MustCompile(`^EXPIRE-([1-9][0-9]{0,8})-([0-9a-f]{6})$`)

// ParseCode takes a code apart: the number of points and the digest. It says
// whether the code is well formed, not whether it approves anything.
func ParseCode(code string) (n int, digest string, err error) {
	m := codePattern.FindStringSubmatch(code)
	if m == nil {
		return 0, "", fmt.Errorf("%.64q is not an approval code: they look like EXPIRE-16-9c41d2; copy the one from the plan that was stopped, as it stands there", code)
	}
	n, err = strconv.Atoi(m[1])
	if err != nil {
		return 0, "", fmt.Errorf("%.64q is not an approval code: %w", code, err)
	}
	return n, m[2], nil
}
