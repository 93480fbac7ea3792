package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/drillreport"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/identifier"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/parallel"
)

// The report of a drill is at drills/<drill>/<source>/<id>.json: what there is, and
// when it was, is known from a listing, and a listing of one drill reads no other.

func drillKey(drill, source, id string) string {
	return drillsPrefix + drill + "/" + escape(source) + "/" + id + ".json"
}

// DrillListed is a report that is there, read or not.
type DrillListed struct {
	Drill, Source, ID string
	Key               string
	// Report is nil where it can not be read; Problem says why.
	Report  *drillreport.Report
	Problem error
}

// PutDrillReport stores the report of a drill. Reports are written once.
func (r *Repository) PutDrillReport(ctx context.Context, report drillreport.Report) error {
	failed := func(err error) error {
		return fmt.Errorf("store the report of drill %s of %s: %w", report.Drill, report.Point.Source, err)
	}
	if err := identifier.Check(report.Drill); err != nil {
		return failed(fmt.Errorf("name %w", err))
	}
	if _, err := ParseID(report.ID); err != nil {
		return failed(err)
	}
	if err := CheckSource(report.Point.Source); err != nil {
		return failed(err)
	}
	if err := r.putRecord(ctx, drillKey(report.Drill, report.Point.Source, report.ID), report); err != nil {
		return failed(err)
	}
	return nil
}

// DrillFilter of DrillReports. Empty fields match everything; Newest is how many
// reports of each drill and source are read, 0 for all.
type DrillFilter struct {
	Drill, Source string
	ID            string // of the report
	Newest        int
}

// DrillReports reads reports, newest first. One that can not be read is listed with
// its problem; an error means that the listing or reading itself failed.
func (r *Repository) DrillReports(ctx context.Context, f DrillFilter) ([]DrillListed, error) {
	prefix := drillsPrefix
	if f.Drill != "" {
		prefix += f.Drill + "/"
		if f.Source != "" {
			prefix += escape(f.Source) + "/"
		}
	}
	var all []DrillListed
	for info, err := range r.store.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list drill reports of %s: %w", r.URL(), err)
		}
		d, ok := parseDrillKey(info.Key)
		if ok && (f.Source == "" || d.Source == f.Source) && (f.ID == "" || d.ID == f.ID) {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b DrillListed) int { return strings.Compare(b.ID, a.ID) })
	if f.Newest > 0 {
		seen := map[string]int{}
		all = slices.DeleteFunc(all, func(d DrillListed) bool {
			lane := d.Drill + "/" + d.Source
			seen[lane]++
			return seen[lane] > f.Newest
		})
	}
	err := parallel.Each(ctx, loaders, len(all), func(ctx context.Context, i int) error {
		d := &all[i]
		data, err := r.readRecord(ctx, d.Key)
		if err == nil {
			var report drillreport.Report
			if report, err = drillreport.Parse(data); err == nil && (report.Drill != d.Drill || report.Point.Source != d.Source || report.ID != d.ID) {
				err = fmt.Errorf("read %s: %w: it says it is of drill %s of %s", d.Key, ErrDamaged, report.Drill, report.Point.Source)
			}
			if err == nil {
				d.Report = &report
				return nil
			}
			d.Problem = err // damaged, or of a newer program
			return nil
		}
		if errors.Is(err, ErrDamaged) || errors.Is(err, ErrNotFound) {
			d.Problem = err
			return nil
		}
		return err
	})
	return all, err
}

func parseDrillKey(key string) (DrillListed, bool) {
	rest, ok := strings.CutPrefix(key, drillsPrefix)
	parts := strings.Split(rest, "/")
	if !ok || len(parts) != 3 {
		return DrillListed{}, false
	}
	source, err := unescape(parts[1])
	if err != nil || CheckSource(source) != nil || identifier.Check(parts[0]) != nil {
		return DrillListed{}, false
	}
	id, is := strings.CutSuffix(parts[2], ".json")
	if _, err := ParseID(id); err != nil || !is {
		return DrillListed{}, false
	}
	return DrillListed{Drill: parts[0], Source: source, ID: id, Key: key}, true
}
