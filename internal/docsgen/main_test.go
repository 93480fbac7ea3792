package main

import (
	"encoding/json"
	"testing"
)

func TestTheSchemasAreFoundUnderTheNameThatTfplugindocsLooksFor(t *testing.T) {
	t.Parallel()
	out, err := rename([]byte(`{"format_version":"1.0","provider_schemas":{"` + address + `":{"provider":{"version":0}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		FormatVersion string                    `json:"format_version"`
		Schemas       map[string]map[string]any `json:"provider_schemas"`
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.FormatVersion != "1.0" || got.Schemas["pgbackup"]["provider"] == nil {
		t.Errorf("got %s", out)
	}
}

func TestAnExportWithoutTheProviderIsAnError(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"format_version":"1.0","provider_schemas":{"registry.terraform.io/hashicorp/null":{}}}`, `{}`, ``} {
		if out, err := rename([]byte(text)); err == nil {
			t.Errorf("%q: got %s", text, out)
		}
	}
}
