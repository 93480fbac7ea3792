package rds

import (
	"context"
	"fmt"

	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// database is what one search in RDS lists the snapshots of.
type database struct {
	api.Target
	region string
}

// byDatabase sorts points by where their snapshots are found.
func byDatabase(points []*repo.Manifest) map[database][]*repo.Manifest {
	sorted := map[database][]*repo.Manifest{}
	for _, m := range points {
		if m.RDS != nil {
			of := database{api.Target{ID: m.RDS.Database, Cluster: m.RDS.Cluster}, m.RDS.Region}
			sorted[of] = append(sorted[of], m)
		}
	}
	return sorted
}

// Standing gives those of the points whose snapshots nothing can be restored from
// now, and why, for rotate.Options. It asks once for each database, however many
// points it has. The reasons wrap repo.ErrDamaged, except that of a snapshot in
// transition. It is an error when what is there cannot be seen.
func Standing(clients Clients) func(context.Context, []*repo.Manifest) (map[repo.Ref]error, error) {
	return func(ctx context.Context, points []*repo.Manifest) (map[repo.Ref]error, error) {
		bad := map[repo.Ref]error{}
		for of, points := range byDatabase(points) {
			c, err := clients(ctx, of.region)
			if err != nil {
				return nil, err
			}
			snapshots, err := c.Snapshots(ctx, api.Query{Target: of.Target, Type: api.Manual})
			if err != nil {
				return nil, err
			}
			byName := make(map[string]api.Snapshot, len(snapshots))
			for _, s := range snapshots {
				byName[s.Name] = s
			}
			asked := map[string]bool{} // accounts that are known to be that of the credentials
			for _, m := range points {
				s, there := byName[m.RDS.Snapshot]
				if !there && !asked[m.RDS.Account] {
					if err := sameAccount(ctx, c, m); err != nil {
						return nil, err
					}
					asked[m.RDS.Account] = true
				}
				if there && s.ARN != m.RDS.ARN {
					return nil, otherSnapshot(m, s)
				}
				if err := restorable(m, s, there); err != nil {
					bad[m.Ref()] = err
				}
			}
		}
		return bad, nil
	}
}

// restorable says why nothing can be restored from the snapshot of a point.
func restorable(m *repo.Manifest, s api.Snapshot, there bool) error {
	switch {
	case !there:
		return fmt.Errorf("%w: RDS snapshot (%s) is gone: somebody deleted it in AWS", repo.ErrDamaged, m.RDS.Snapshot)
	case s.Ready():
		return nil
	case failed(s), s.Status == "deleting":
		return fmt.Errorf("%w: %s is %s", repo.ErrDamaged, s, s.Status)
	}
	return fmt.Errorf("%s is %s at the moment: look again later", s, s.Status)
}

func otherSnapshot(m *repo.Manifest, s api.Snapshot) error {
	return fmt.Errorf("%w: the snapshot of recovery point %s is %s, here is %s", ErrOtherAccount, m.ID, m.RDS.ARN, s.ARN)
}
