package retention

import "slices"

// RuleSet is a set of keep rules: bit i stands for rule i of Keep.Fields.
type RuleSet uint16

// ruleNames are the names of the keep rules in the order of Keep.Fields, which
// is the order of the bits.
var ruleNames = func() []string {
	var k Keep
	var names []string
	for _, f := range k.Fields() {
		names = append(names, f.Name)
	}
	return names
}()

// Has reports whether the rule of that name, as in HCL, is in the set.
func (s RuleSet) Has(name string) bool {
	i := slices.Index(ruleNames, name)
	return i >= 0 && s&(1<<i) != 0
}

// bitOf is the bit of the rule of that name.
func bitOf(name string) RuleSet { return 1 << slices.Index(ruleNames, name) }

var walBit = bitOf("wal")
