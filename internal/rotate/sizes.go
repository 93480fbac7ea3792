package rotate

import (
	"context"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// sizedPoints is how many points get their sizes from a listing of the data. It
// is for people, who read no longer table than this.
const sizedPoints = 50_000

// addSizes fills in the sizes of points whose manifests nobody had to read. They
// are for information: a rotation is as good without.
func (opts Options) addSizes(ctx context.Context, out *Outcome) {
	lacking := map[string]bool{}
	for _, d := range out.Keep {
		if d.Bytes == 0 && d.Source != "" {
			lacking[d.Source] = true
		}
	}
	if len(lacking) == 0 || len(out.Keep) > sizedPoints {
		return
	}
	filter := repo.Filter{Kind: opts.Filter.Kind}
	if len(lacking) == 1 {
		for filter.Source = range lacking {
		}
	}
	sizes, err := opts.Repo.Sizes(ctx, filter)
	if err != nil {
		opts.Log.Warn("the sizes of what is kept are not known", "error", err)
		return
	}
	for i := range out.Keep {
		if d := &out.Keep[i]; d.Bytes == 0 {
			d.Bytes = sizes[d.ref.String()]
		}
	}
}
