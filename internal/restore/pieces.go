package restore

import (
	"sort"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// defaultPiece is the least that is worth a loader of its own, in plain bytes.
const defaultPiece = 64 << 20

// Tables below smallTable bytes are loaded together, up to groupSize: a chunk of
// the archive may hold thousands of them, and is fetched and decoded once a piece.
const (
	smallTable = 1 << 20
	groupSize  = 8 << 20
)

// piece is a range of the archive for one loader: a part of a table, or several
// small tables that lie next to each other.
type piece struct {
	from, to int64 // archive offsets
	tables   []span
}

// span is the data of one table within a piece.
type span struct {
	entry    *pgarchive.Entry
	from, to int64
	first    bool // it begins with the entry's header
}

// pieces cuts the tables' data so that Jobs loaders end at about the same time:
// a table larger than its share is loaded by several. Largest first.
func (r *run) pieces() []piece {
	var wanted []repo.Entry
	for _, e := range r.index.Entries {
		if r.loads(e) {
			wanted = append(wanted, e)
		}
	}
	return r.piecesOf(wanted)
}

// piecesOf is pieces for some entries of the index, in its order.
func (r *run) piecesOf(wanted []repo.Entry) []piece {
	var size int64
	for _, e := range wanted {
		size += e.To - e.From
	}
	share := max(size/int64(4*r.Jobs), r.pieceSize)
	together := max(1, len(wanted)/(4*r.Jobs)) // many tiny tables are work too
	var all []piece
	group := -1 // in all: the piece that small tables are added to
	for _, e := range wanted {
		entry := r.family.byID[int32(e.DumpID)]
		if e.To-e.From < smallTable {
			s := span{entry: entry, from: e.From, to: e.To, first: true}
			if group >= 0 && all[group].to == e.From && e.To-all[group].from <= groupSize && len(all[group].tables) < together {
				all[group].to = e.To
				all[group].tables = append(all[group].tables, s)
				continue
			}
			group = len(all)
			all = append(all, piece{from: e.From, to: e.To, tables: []span{s}})
			continue
		}
		n := int((e.To - e.From + share - 1) / share)
		for i, part := range r.index.Split(e.From, e.To, n) {
			all = append(all, piece{from: part[0], to: part[1], tables: []span{{entry: entry, from: part[0], to: part[1], first: i == 0}}})
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].to-all[i].from > all[j].to-all[j].from })
	return all
}
