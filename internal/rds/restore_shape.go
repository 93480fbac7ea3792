package rds

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	api "github.com/pgbackup/terraform-provider-pgbackup/internal/awsapi/rds"
)

// shape says what the new database will be: as the original, or as the snapshot
// says where that is gone, with what was given instead.
func (p *RestorePlan) shape(ctx context.Context) error {
	o, s := p.options, p.From.Snapshot
	w := api.Wanted{Target: api.Target{ID: o.To, Cluster: p.From.Of.Cluster || s.Cluster}, Engine: s.Engine, AllocatedGiB: s.AllocatedGiB, CopyTags: true}
	tags := s.Tags
	if db := p.Source; db != nil {
		shape := db.Shape
		if db.Cluster {
			var err error
			if shape, err = o.Client.ShapeOfCluster(ctx, *db); err != nil {
				return err
			}
		}
		w.Shape, w.Engine, w.DeletionProtection, w.CopyTags, tags = shape, db.Engine, db.DeletionProtection, db.CopyTags, db.Tags
		if w.AllocatedGiB == 0 {
			w.AllocatedGiB = db.AllocatedGiB
		}
	} else {
		w.Shape = api.Shape{Port: s.Port, IAMAuth: s.IAMAuth, OptionGroup: s.OptionGroup, AutoUpgrade: true}
	}
	o.Given.over(&w)
	w.Tags = p.tags(tags)
	if w.Cluster && w.Shape.Class == "" {
		return fmt.Errorf("%w yet: the class of its instances is not known, because %s; give --class, such as db.r6g.large", ErrNothing, p.why())
	}
	if w.Cluster && api.IsAurora(w.Engine) {
		p.Member = o.To + "-1"
		if o.To != "" && len(p.Member) > 63 {
			return fmt.Errorf("%.80q %w: the instance of the new cluster is called so with -1 behind it, which makes more than 63 letters", o.To, ErrName)
		}
	}
	p.Wanted = w
	p.remains()
	return nil
}

func (p *RestorePlan) why() string {
	if p.Source == nil {
		return "the original is gone"
	}
	return p.Source.String() + " has no instance"
}

// over puts what was given over what is taken over.
func (g Given) over(w *api.Wanted) {
	s := &w.Shape
	s.Class, s.SubnetGroup = cmp.Or(g.Class, s.Class), cmp.Or(g.SubnetGroup, s.SubnetGroup)
	s.ParameterGroup, s.OptionGroup = cmp.Or(g.ParameterGroup, s.ParameterGroup), cmp.Or(g.OptionGroup, s.OptionGroup)
	if g.StorageType != "" && g.StorageType != s.StorageType {
		s.StorageType, s.IOPS, s.Throughput = g.StorageType, 0, 0 // the speed was another kind's
	}
	s.IOPS, s.Throughput, s.Port = cmp.Or(g.IOPS, s.IOPS), cmp.Or(g.Throughput, s.Throughput), cmp.Or(g.Port, s.Port)
	if g.SecurityGroups != nil {
		s.SecurityGroups = g.SecurityGroups
	}
	if g.Logs != nil {
		s.Logs = g.Logs
	}
	for _, set := range []struct {
		given *bool
		to    *bool
	}{{g.MultiAZ, &s.MultiAZ}, {g.IAMAuth, &s.IAMAuth}, {g.DeletionProtection, &w.DeletionProtection}} {
		if set.given != nil {
			*set.to = *set.given
		}
	}
}

// tags of the new database: the original's, without those that AWS and pgbackup give
// a meaning to. Whose of them said that the original is managed or temporary does not
// say so of the copy.
func (p *RestorePlan) tags(of map[string]string) map[string]string {
	tags := map[string]string{}
	for key, value := range of {
		if !strings.HasPrefix(key, "aws:") && !strings.HasPrefix(key, "pgbackup:") {
			tags[key] = value
		}
	}
	maps.Copy(tags, p.options.Given.Tags)
	tags[TagRequest], tags[TagRestoredFrom] = p.options.request(), tagValue(p.origins())
	return tags
}

// remains says what the new database will not have.
func (p *RestorePlan) remains() {
	id := cmp.Or(p.Wanted.ID, "NAME")
	not := func(format string, args ...any) { p.NotCarried = append(p.NotCarried, fmt.Sprintf(format, args...)) }
	modify := "`aws rds modify-db-instance --db-instance-identifier " + id
	if p.Wanted.Cluster {
		modify = "`aws rds modify-db-cluster --db-cluster-identifier " + id
	}
	if p.Source == nil {
		g := p.options.Given
		for _, lost := range []struct {
			what  string
			flag  string
			given bool
		}{
			{"the subnet group (the default of the account is taken)", "--subnet-group", g.SubnetGroup != ""},
			{"the security groups (the default of the VPC is taken)", "--security-group", len(g.SecurityGroups) > 0},
			{"the parameter group (the default of the version is taken)", "--parameter-group", g.ParameterGroup != ""},
			{"whether there was a standby (there will be none)", "--multi-az", g.MultiAZ != nil || api.IsAurora(p.Wanted.Engine)},
			{"deletion protection (there will be none)", "--deletion-protection", g.DeletionProtection != nil},
			{"which logs go to CloudWatch (none will)", "--log-export", g.Logs != nil},
		} {
			if !lost.given {
				not("the original is gone, and with it %s: %s gives it", lost.what, lost.flag)
			}
		}
		return
	}
	s := p.Source.Shape
	if s.ManagedPassword {
		not("the master password is not rotated by Secrets Manager in the new one and is what it was when the backup was taken: %s --manage-master-user-password --apply-immediately`", modify)
	}
	if s.MaxGiB > 0 && p.From.IsSnapshot() {
		not("the storage does not grow by itself: %s --max-allocated-storage %d`", modify, s.MaxGiB)
	}
	if s.Monitoring > 0 {
		not("Enhanced Monitoring is off: %s --monitoring-interval %d --monitoring-role-arn ARN`", modify, s.Monitoring)
	}
	if s.Insights {
		not("Performance Insights is off: %s --enable-performance-insights`", modify)
	}
	if s.Roles > 0 {
		not("IAM roles for extensions such as aws_s3 are not attached: `aws rds add-role-to-db-instance`, or -cluster")
	}
	if s.Domain {
		not("it is not joined to the directory of the original: %s --domain ID`", modify)
	}
	if w := p.Source.MaintenanceWindow; w != "" {
		not("the maintenance window is one that RDS chooses: %s --preferred-maintenance-window %s`", modify, w)
	}
}

// origins names what is restored from with letters that tags may have.
func (p *RestorePlan) origins() string {
	if p.From.IsSnapshot() {
		return cmp.Or(p.From.Snapshot.ARN, p.From.Snapshot.Name)
	}
	return p.From.Of.ID + "@" + p.From.Moment.UTC().Format(time.RFC3339)
}
