package main

import (
	"fmt"
	"sync"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/observe"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/repo"
)

// thawProgress is what the bar shows while archived points are waited for.
type thawProgress struct {
	mu  sync.Mutex
	sum repo.Archived
}

func (p *thawProgress) set(sum repo.Archived) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sum = sum
}

func (p *thawProgress) status() observe.Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	return observe.Status{Step: "waiting for " + p.sum.Class, Item: fmt.Sprintf("%d of %d objects", p.sum.Thawed, p.sum.Objects),
		Done: p.sum.ThawedBytes, Total: p.sum.Bytes}
}
