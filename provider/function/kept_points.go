package function

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/retention"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/simulate"
	"github.com/pgbackup/terraform-provider-pgbackup/provider/rulesattr"
)

// lastDay is where the days end unless the caller says otherwise. It never
// moves: the function has to give the same at plan, at apply and in ten years.
var lastDay = time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC)

// KeptPoints is kept_points(retention, cron, days, until...).
type KeptPoints struct{}

// NewKeptPoints makes the function.
func NewKeptPoints() function.Function { return KeptPoints{} }

// keptPoints is what the function gives.
type keptPoints struct {
	Runs   int64            `tfsdk:"runs"`
	Points int64            `tfsdk:"points"`
	Starts []string         `tfsdk:"starts"`
	ByTier map[string]int64 `tfsdk:"by_tier"`
}

var keptPointsType = map[string]attr.Type{
	"runs": types.Int64Type, "points": types.Int64Type,
	"starts": types.ListType{ElemType: types.StringType}, "by_tier": types.MapType{ElemType: types.Int64Type},
}

func (KeptPoints) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "kept_points"
}

func (KeptPoints) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "The recovery points that rules keep of so many days of a schedule",
		MarkdownDescription: "Plays a schedule over a number of days, with one verified recovery point per run and a rotation after each, beginning with none, and gives what is left: an object with " +
			"`runs`, how many points were made; `points`, how many are left; `starts`, when those began (RFC 3339 in UTC, newest first); and `by_tier`, how many of them are in the tier `hourly`, `daily`, `weekly`, `monthly` and `yearly`.\n\n" +
			"The days end at 2026-01-01T00:00:00Z, a fixed moment so that the result never changes, or at `until`. Cron fields and the days, weeks, months and years of the rules are those of UTC.",
		Parameters: []function.Parameter{
			function.DynamicParameter{Name: "retention", MarkdownDescription: "The rules, as `pgbackup_policy` takes them, such as `{ keep_daily = 30, keep_weekly = 12 }`."},
			function.StringParameter{Name: "cron", MarkdownDescription: "Five cron fields or a shorthand, such as `0 2 * * *` or `@daily`."},
			function.Int64Parameter{Name: "days", MarkdownDescription: "How many days to play, 1 to 36525, such as `365`. At most 200,000 runs are played."},
		},
		VariadicParameter: function.StringParameter{Name: "until", MarkdownDescription: "At most one: the moment at which the days end, RFC 3339, such as `plantimestamp()`. A run at that moment is not played any more."},
		Return:            function.ObjectReturn{AttributeTypes: keptPointsType},
	}
}

func (KeptPoints) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var rules types.Dynamic
	var cron string
	var days int64
	var until []string
	if resp.Error = req.Arguments.Get(ctx, &rules, &cron, &days, &until); resp.Error != nil {
		return
	}
	keep, known, errs := rulesattr.Read(rules)
	for _, err := range errs {
		resp.Error = function.ConcatFuncErrors(resp.Error, wrong(0, err))
	}
	if resp.Error != nil {
		return
	}
	if !known {
		resp.Error = resp.Result.Set(ctx, types.ObjectUnknown(keptPointsType))
		return
	}
	kept, err := play(retention.Rules{Keep: keep}, cron, days, until)
	if err != nil {
		resp.Error = err
		return
	}
	resp.Error = resp.Result.Set(ctx, kept)
}

func play(rules retention.Rules, cron string, days int64, until []string) (keptPoints, *function.FuncError) {
	if err := rules.Validate(); err != nil {
		return keptPoints{}, wrong(0, err)
	}
	s, err := schedule.Parse(cron, "")
	if err != nil {
		return keptPoints{}, wrong(1, err)
	}
	if days < 1 || days > simulate.MaxDays {
		return keptPoints{}, wrong(2, outside("days", days, 1, simulate.MaxDays))
	}
	end, wrongMoment := moment(until, 3, "until", lastDay)
	if wrongMoment != nil {
		return keptPoints{}, wrongMoment
	}
	result, err := simulate.Forward(simulate.Input{Rules: rules, Schedule: s, From: end.UTC().AddDate(0, 0, -int(days)), Days: int(days)})
	if err != nil {
		return keptPoints{}, wrong(2, err)
	}
	kept := keptPoints{Runs: int64(result.Runs), Points: int64(len(result.Kept)), Starts: []string{}, ByTier: map[string]int64{}}
	for _, tier := range retention.Tiers() {
		kept.ByTier[tier] = 0
	}
	for _, k := range result.Kept {
		kept.Starts = append(kept.Starts, k.Start.Format(time.RFC3339))
		kept.ByTier[k.Tier]++
	}
	return kept, nil
}
