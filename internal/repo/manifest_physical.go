package repo

import (
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/pgwal"
)

// Physical says where in the log of its server a base backup lies. It can be
// recovered to any moment from StopLSN on that the archived WAL of Source reaches,
// on Timeline or a descendant of it.
type Physical struct {
	StartLSN pgwal.LSN      `json:"start_lsn"` // recovery begins here
	StopLSN  pgwal.LSN      `json:"stop_lsn"`  // and is consistent from here on
	Timeline pgwal.Timeline `json:"timeline"`
	// SegmentSize of the server's WAL and BlockSize of its tables, in bytes.
	SegmentSize uint64 `json:"segment_size"`
	BlockSize   uint32 `json:"block_size"`
	// Stopped is when the backup ended, by the server's clock: the earliest moment that
	// can be recovered to.
	Stopped time.Time `json:"stopped"`
	// PageChecksums: the server keeps checksums of pages, and verified them as it sent them.
	PageChecksums bool         `json:"page_checksums"`
	Tablespaces   []Tablespace `json:"tablespaces,omitempty"`
	DataDirectory string       `json:"data_directory,omitempty"` // on the server
	// Superuser is the role that initdb made.
	Superuser string `json:"superuser,omitempty"`
	// Settings without which the restored server would not start or not be consistent,
	// such as max_connections.
	Settings map[string]string `json:"settings,omitempty"`
	// Full is how many plain bytes the data directory has when all of the chain is
	// combined; of a full backup it is Totals.Bytes.
	Full int64 `json:"full,omitempty"`
}

// Tablespace is one outside of the data directory. Its files are in the tar below
// pg_tblspc/<oid>/.
type Tablespace struct {
	OID      uint32 `json:"oid"`
	Location string `json:"location"` // on the server
	Bytes    int64  `json:"bytes"`    // an estimate by the server
}

// ended is when a point was complete. A base backup can not be recovered to a moment
// before its server says it stopped, whatever the clock of the runner says.
func (m *Manifest) ended() time.Time {
	if m.Physical != nil && m.Physical.Stopped.After(m.End) {
		return m.Physical.Stopped
	}
	return m.End
}
