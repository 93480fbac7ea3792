package function

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/schedule"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/timezone"
)

// maxNextRuns bounds a list that stands in state and in a plan.
const maxNextRuns = 100

// NextRuns is next_runs(cron, timezone, n, after...).
type NextRuns struct{}

// NewNextRuns makes the function.
func NewNextRuns() function.Function { return NextRuns{} }

func (NextRuns) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "next_runs"
}

func (NextRuns) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "The next runs of a schedule",
		MarkdownDescription: "Gives the next `n` moments at which a schedule runs, as RFC 3339 in UTC, ascending.\n\n" +
			"A local time that clocks skip in spring does not run on that day; one that comes twice in autumn runs once, the first time. " +
			"A daily job between 01:00 and 03:00 local time therefore has one day a year without a run in most time zones with summer time.\n\n" +
			"Without `after` the runs are those after the present moment. Terraform demands that a function gives the same at plan and at apply, and says \"inconsistent result\" when a run has passed in between: " +
			"where the result goes into a saved plan or into a resource, give `plantimestamp()` as the last argument.",
		Parameters: []function.Parameter{
			function.StringParameter{Name: "cron", MarkdownDescription: "Five cron fields (minute, hour, day of month, month, day of week) or a shorthand, as `pgbackup_schedule` takes them, such as `0 2 * * *` or `@daily`."},
			function.StringParameter{Name: "timezone", MarkdownDescription: "IANA time zone of the schedule, such as `Europe/Berlin`; `\"\"` is UTC."},
			function.Int64Parameter{Name: "n", MarkdownDescription: "How many runs to give, 1 to 100, such as `3`."},
		},
		VariadicParameter: function.StringParameter{Name: "after", MarkdownDescription: "At most one: the moment to begin after, RFC 3339, such as `plantimestamp()`. The present moment where it is not given."},
		Return:            function.ListReturn{ElementType: types.StringType},
	}
}

func (NextRuns) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var cron, zone string
	var n int64
	var after []string
	if resp.Error = req.Arguments.Get(ctx, &cron, &zone, &n, &after); resp.Error != nil {
		return
	}
	runs, err := nextRuns(cron, zone, n, after, time.Now())
	if err != nil {
		resp.Error = err
		return
	}
	resp.Error = resp.Result.Set(ctx, runs)
}

func nextRuns(cron, zone string, n int64, after []string, now time.Time) ([]string, *function.FuncError) {
	if _, err := timezone.Load(zone); err != nil {
		return nil, wrong(1, err)
	}
	s, err := schedule.Parse(cron, zone)
	if err != nil {
		return nil, wrong(0, err)
	}
	if n < 1 || n > maxNextRuns {
		return nil, wrong(2, outside("n", n, 1, maxNextRuns))
	}
	from, wrongMoment := moment(after, 3, "after", now)
	if wrongMoment != nil {
		return nil, wrongMoment
	}
	return rfc3339(s.Next(from, int(n))), nil
}

func rfc3339(moments []time.Time) []string {
	texts := make([]string, len(moments))
	for i, t := range moments {
		texts[i] = t.UTC().Format(time.RFC3339)
	}
	return texts
}
