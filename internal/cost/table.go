// Package cost estimates what stored recovery points cost on S3, from a price
// table that ships as data with its date. Everything it gives is an estimate
// for a reviewer to compare a before with an after, never a bill: list prices
// of the first volume step, storage only unless said otherwise, without
// discounts, requests, replication, transfer and tax.
//
// It is pure: which objects there are is the caller's to say. What S3 bills at
// least is package storageclass's to know.
package cost

import (
	_ "embed" // prices.json
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/pgbackup/terraform-provider-pgbackup/internal/storageclass"
	"github.com/pgbackup/terraform-provider-pgbackup/internal/strictjson"
)

//go:embed prices.json
var pricesJSON []byte

// DefaultRegion is the region whose prices stand in for a region that is not in
// the table.
const DefaultRegion = "us-east-1"

// Price is what one storage class costs, in USD.
type Price struct {
	GBMonth        float64 `json:"gb_month"`        // per GB (2^30 bytes) and month
	Get1000        float64 `json:"get_1000"`        // per 1,000 downloads
	RetrievalGB    float64 `json:"retrieval_gb"`    // per GB read
	Retrieval1000  float64 `json:"retrieval_1000"`  // per 1,000 objects brought back from an archive
	RetrievalWait  string  `json:"retrieval_wait"`  // until data can be read, in words
	RetrievalHours int     `json:"retrieval_hours"` // the long end of it, 0 for at once
	// Unread are the prices of objects that nobody has read for some days, by
	// days ascending; only INTELLIGENT_TIERING has them.
	Unread []Unread `json:"unread"`
	// OtherTiers are the prices of bringing objects back from an archive faster or
	// cheaper than by a standard retrieval, by the name of the tier; what is above
	// is the standard one.
	OtherTiers map[string]TierPrice `json:"other_tiers"`
}

// TierPrice is what bringing objects back from an archive costs in one tier.
type TierPrice struct {
	GB          float64 `json:"gb"`           // per GB (2^30 bytes)
	Objects1000 float64 `json:"objects_1000"` // per 1,000 objects
}

// Unread is the price of objects after some days without being read.
type Unread struct {
	Days    int     `json:"days"`
	GBMonth float64 `json:"gb_month"`
}

// atAge gives the price per GB-month of objects that were never read.
func (p Price) atAge(age time.Duration) float64 {
	usd := p.GBMonth
	for _, u := range p.Unread {
		if age >= time.Duration(u.Days)*24*time.Hour {
			usd = u.GBMonth
		}
	}
	return usd
}

// Table holds the prices of one region. The zero value has none: it estimates 0
// and IsZero tells.
type Table struct {
	Date     string // month of the price list, such as "2026-11"
	Region   string // whose prices these are, which may not be the one asked for
	Currency string // "USD"
	Source   string // address of the price page the values were taken from
	Note     string // what a reader should know besides, "" for nothing
	// Overridden names the classes whose price per GB-month With replaced.
	Overridden []string

	prices map[string]Price
}

type priceFile struct {
	Date     string                      `json:"date"`
	Currency string                      `json:"currency"`
	Source   string                      `json:"source"`
	Regions  map[string]map[string]Price `json:"regions"`
}

func readPrices(data []byte) (priceFile, error) {
	var file priceFile
	if err := strictjson.UnmarshalNamed("prices", data, &file); err != nil {
		return file, err
	}
	if _, err := time.Parse("2006-01", file.Date); err != nil {
		return file, fmt.Errorf("prices.date: %w", err)
	}
	if file.Currency != "USD" || !strings.HasPrefix(file.Source, "https://") || file.Regions[DefaultRegion] == nil {
		return file, fmt.Errorf("prices: currency USD, a source and the region %s are needed", DefaultRegion)
	}
	for region, prices := range file.Regions {
		for _, name := range storageclass.Names() {
			if p, ok := prices[name]; !ok || p.GBMonth <= 0 || p.RetrievalWait == "" {
				return file, fmt.Errorf("prices.regions.%s.%s: gb_month and retrieval_wait are needed", region, name)
			}
			if err := checkTiers(name, prices[name].OtherTiers); err != nil {
				return file, fmt.Errorf("prices.regions.%s.%s.other_tiers: %w", region, name, err)
			}
		}
		if len(prices) != len(storageclass.Names()) {
			return file, fmt.Errorf("prices.regions.%s: names a storage class that does not exist", region)
		}
	}
	return file, nil
}

// Prices gives the prices of a region, or those of DefaultRegion when the table
// has none for it: Table.Region says which.
func Prices(region string) Table {
	file, err := readPrices(pricesJSON)
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	note := ""
	if file.Regions[region] == nil {
		if region != "" {
			note = "none of " + region + " known"
		}
		region = DefaultRegion
	}
	return Table{Date: file.Date, Region: region, Note: note, Currency: file.Currency, Source: file.Source, prices: file.Regions[region]}
}

// IsZero reports whether there are no prices: nothing is to be estimated.
func (t Table) IsZero() bool { return len(t.prices) == 0 }

// String names the table for people: "S3 list prices of us-east-1, 2026-11".
func (t Table) String() string {
	if t.IsZero() {
		return "no prices"
	}
	s := fmt.Sprintf("S3 list prices of %s, %s", t.Region, t.Date)
	if t.Note != "" {
		s += " (" + t.Note + ")"
	}
	if len(t.Overridden) > 0 {
		s += "; as configured: " + strings.Join(t.Overridden, ", ")
	}
	return s
}

// Of gives the price of a class; "" and classes that backups cannot use are
// priced as STANDARD, the dearest.
func (t Table) Of(class string) Price {
	if p, ok := t.prices[class]; ok {
		return p
	}
	return t.prices[storageclass.Standard]
}

// maxGBMonth is a price no storage class has ever been near: above it, cents
// were probably written.
const maxGBMonth = 10

// With gives a table with other prices per GB-month, in USD by storage class.
// Every class that is wrong is reported, with the nearest right name.
func (t Table) With(perGBMonth map[string]float64) (Table, error) {
	if len(perGBMonth) == 0 {
		return t, nil
	}
	prices := maps.Clone(t.prices)
	if prices == nil {
		prices = map[string]Price{}
	}
	var errs []error
	overridden := slices.Clone(t.Overridden)
	for _, class := range slices.Sorted(maps.Keys(perGBMonth)) {
		usd := perGBMonth[class]
		if _, err := storageclass.Parse(class); err != nil {
			errs = append(errs, err)
			continue
		}
		if math.IsNaN(usd) || usd < 0 || usd > maxGBMonth {
			errs = append(errs, fmt.Errorf("price of %s is %v: give USD per GB and month, from 0 to %d", class, usd, maxGBMonth))
			continue
		}
		p := prices[class]
		p.GBMonth, p.Unread = usd, nil // one price was given, at any age
		prices[class] = p
		if !slices.Contains(overridden, class) {
			overridden = append(overridden, class)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Table{}, err
	}
	slices.Sort(overridden)
	t.prices, t.Overridden, t.Currency = prices, overridden, "USD"
	return t, nil
}
