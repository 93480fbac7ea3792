package postgres

import (
	"maps"
	"strings"
)

// WithSetting is the same target whose sessions, and those of client programs, begin
// with a setting, over what is set for the role and the database.
func (t Target) WithSetting(name, value string) Target {
	if t.config == nil {
		return t
	}
	t.config = t.config.Copy()
	t.config.RuntimeParams[name] = value
	t.params = maps.Clone(t.params)
	if t.params == nil {
		t.params = map[string]string{}
	}
	// In options a backslash makes a space part of the value.
	option := "-c " + name + "=" + strings.NewReplacer(`\`, `\\`, " ", `\ `).Replace(value)
	t.params["options"] = strings.TrimSpace(t.params["options"] + " " + option)
	return t
}
