package comparison

import (
	"context"
	"fmt"
	"io"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/logical"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/postgres/pgarchive"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// Point reads what a logical recovery point says of its contents: the table of
// contents of its archive and the proof of every table. Only these small parts
// of the point are read.
func Point(ctx context.Context, p *repo.Point) (Options, error) {
	if p.Kind != logical.Kind {
		return Options{}, fmt.Errorf("compare %s: only %s recovery points say what is in a database", p.Ref(), logical.Kind)
	}
	index, err := p.Index(ctx)
	if err != nil {
		return Options{}, err
	}
	toc, err := readTOC(ctx, p, index)
	if err != nil {
		return Options{}, err
	}
	records, err := logical.ReadRecords(ctx, p)
	if err != nil {
		return Options{}, err
	}
	return Options{TOC: toc, Records: records, Encoding: p.Server.Encoding}, nil
}

func readTOC(ctx context.Context, p *repo.Point, index *repo.Index) (*pgarchive.TOC, error) {
	body, err := p.Range(ctx, index, 0, index.HeadEnd)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	reader := pgarchive.NewReader(pgarchive.Events{})
	if _, err := io.Copy(reader, body); err != nil {
		return nil, fmt.Errorf("read the table of contents of %s: %w", p.Ref(), err)
	}
	if reader.TOC() == nil {
		return nil, fmt.Errorf("read the table of contents of %s: %w", p.Ref(), repo.ErrTruncated)
	}
	return reader.TOC(), nil
}
