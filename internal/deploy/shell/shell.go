// Package shell writes the few lines of POSIX shell that targets run around the
// runner: bringing it out of the repository, and telling schedulers what its exit
// codes mean. They run under the sh of any image: dash, bash and busybox.
//
// It is pure. What must not live here: which target runs them, and anything the
// runner itself could do.
package shell

import (
	"fmt"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/exitcode"
)

// Program is the runner as it lies in a repository.
type Program struct {
	URL      string // s3://bucket/key
	SHA256   string // hexadecimal
	Region   string // of the bucket; "" is that of the machine
	Endpoint string // of an S3-compatible service; "" is AWS
}

// Quote makes one word of a text.
func Quote(text string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-=:@+,", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// Join quotes words and joins them to a command.
func Join(words ...string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = Quote(w)
	}
	return strings.Join(quoted, " ")
}

// Fetch brings a program to a path, with the AWS CLI and sha256sum. A program
// with another hash never gets its name or the right to be run: the shell exits
// with code 2 instead, and with 1 when the program could not be had.
func Fetch(p Program, to string) string {
	copying := []string{"aws"}
	if p.Region != "" {
		copying = append(copying, "--region", p.Region)
	}
	if p.Endpoint != "" {
		copying = append(copying, "--endpoint-url", p.Endpoint)
	}
	part := to + ".new"
	copying = append(copying, "s3", "cp", "--only-show-errors", p.URL, part)
	return fmt.Sprintf(`%[1]s || exit 1
got=$(sha256sum < %[2]s) || exit 1
got=${got%%%% *}
if [ "$got" != %[3]s ]; then
  rm -f %[2]s
  echo %[4]s"$got" >&2
  exit %[5]d
fi
chmod 0755 %[2]s && mv -f %[2]s %[6]s || exit 1
`, Join(copying...), Quote(part), p.SHA256, Quote(fmt.Sprintf("%s is not the runner that was deployed: apply the configuration again, and look who may write to the repository. Its SHA-256 is ", p.URL)), exitcode.Usage, Quote(to))
}

// WarningsAreSuccess runs its arguments as a command, and ends as it did, but with
// 0 where it ended with warnings: a good backup must not be tried again. A request
// to stop goes on to the command, which a shell by itself would keep from it.
//
// It is for "sh -c SCRIPT NAME COMMAND…".
func WarningsAreSuccess() string {
	return fmt.Sprintf(`runner=
stop=
trap 'stop=1; [ -z "$runner" ] || kill -TERM "$runner" 2>/dev/null || :' TERM INT
"$@" &
runner=$!
[ -z "$stop" ] || kill -TERM "$runner" 2>/dev/null || :
code=0
wait "$runner" || code=$?
while kill -0 "$runner" 2>/dev/null; do
  code=0
  wait "$runner" || code=$?
done
[ "$code" -ne %d ] || code=0
exit "$code"
`, exitcode.Warnings)
}
