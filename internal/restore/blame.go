package restore

import (
	"errors"
	"regexp"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/objstore"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/seal"
)

// refused is how pg_restore's words tell of data or SQL that the server does not
// take. Its messages come without the server's codes.
var refused = regexp.MustCompile(`ERROR: +(?:syntax error at|could not create unique index|duplicate key value|.* violates (?:check|foreign key|unique|not-null|exclusion) constraint|.* of relation .* (?:is violated by some row|contains null values)|invalid input syntax|invalid byte sequence|could not create exclusion constraint)`)

// ofMoney is how a server tells of an amount that is written as another lc_monetary
// has it: an archive does not say in which it is.
var ofMoney = regexp.MustCompile(`for type money\b`)

// IsBadBackup tells whether an error of Run says that the backup is at fault:
// damaged, not what its own records say, or with contents that contradict
// themselves. All else is the server's, the network's or the rights' doing, and
// says nothing about the backup.
func IsBadBackup(err error) bool {
	if err == nil || errors.Is(err, objstore.ErrTransient) {
		return false // whatever else it looked like, somewhere a connection broke
	}
	for _, bad := range []error{ErrDiffers, repo.ErrDamaged, seal.ErrDamaged, seal.ErrEdited, pgarchive.ErrTruncated, pgarchive.ErrNotArchive, pgarchive.ErrCorrupt} {
		if errors.Is(err, bad) {
			return true
		}
	}
	if ofMoney.MatchString(err.Error()) {
		return false
	}
	if pgErr := new(pgconn.PgError); errors.As(err, &pgErr) && len(pgErr.Code) == 5 {
		// https://www.postgresql.org/docs/current/errcodes-appendix.html
		switch pgErr.Code {
		case "22021": // bytes that are no character
			return !errors.As(err, &notMade{})
		case "22023", "22P05": // a locale it lacks, a character its encoding lacks
			return false
		case "42601": // syntax error
			return true
		}
		class := pgErr.Code[:2]
		return class == "22" || class == "23" // data exception, integrity constraint violation
	}
	failed := new(postgres.ToolError)
	return errors.As(err, &failed) && refused.MatchString(failed.Stderr)
}
