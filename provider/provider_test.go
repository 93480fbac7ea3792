package provider_test

import (
	"context"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	fwprovider "github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"

	"github.com/pgbackup/terraform-provider-pgbackup/provider"
)

func TestTheSchemasAreValid(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := provider.New("test")()
	var config fwprovider.SchemaResponse
	p.Schema(ctx, fwprovider.SchemaRequest{}, &config)
	if diags := config.Schema.ValidateImplementation(ctx); diags.HasError() {
		t.Errorf("provider: %v", diags)
	}
	for _, make := range p.Resources(ctx) {
		var meta resource.MetadataResponse
		make().Metadata(ctx, resource.MetadataRequest{ProviderTypeName: "pgbackup"}, &meta)
		var schema resource.SchemaResponse
		make().Schema(ctx, resource.SchemaRequest{}, &schema)
		if diags := schema.Schema.ValidateImplementation(ctx); diags.HasError() {
			t.Errorf("%s: %v", meta.TypeName, diags)
		}
	}
	for _, make := range p.DataSources(ctx) {
		var meta datasource.MetadataResponse
		make().Metadata(ctx, datasource.MetadataRequest{ProviderTypeName: "pgbackup"}, &meta)
		var schema datasource.SchemaResponse
		make().Schema(ctx, datasource.SchemaRequest{}, &schema)
		if diags := schema.Schema.ValidateImplementation(ctx); diags.HasError() {
			t.Errorf("%s: %v", meta.TypeName, diags)
		}
	}
}

// Served over the protocol, as Terraform and the documentation see them.
func TestEveryAttributeIsDescribed(t *testing.T) {
	t.Parallel()
	server, err := providerserver.NewProtocol6WithError(provider.New("test")())()
	if err != nil {
		t.Fatal(err)
	}
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	if err != nil || len(schemas.Diagnostics) > 0 {
		t.Fatalf("%v, %v", err, schemas.Diagnostics)
	}
	described(t, "provider", schemas.Provider.Block.Attributes)
	for _, kind := range []map[string]*tfprotov6.Schema{schemas.ResourceSchemas, schemas.DataSourceSchemas} {
		for name, schema := range kind {
			if !strings.HasSuffix(schema.Block.Description, ".") {
				t.Errorf("%s has no description", name)
			}
			described(t, name, schema.Block.Attributes)
		}
	}
	for name, f := range schemas.Functions {
		for _, p := range append(f.Parameters, f.VariadicParameter) {
			if p.Name == "" || !strings.HasSuffix(p.Description, ".") || !strings.Contains(p.Description, "`") {
				t.Errorf("function %s: its parameter %q is described as %q", name, p.Name, p.Description)
			}
		}
		if f.Summary == "" || !strings.HasSuffix(f.Description, ".") {
			t.Errorf("function %s has no description", name)
		}
	}
	if a, b, c := len(schemas.ResourceSchemas), len(schemas.DataSourceSchemas), len(schemas.Functions); a != 8 || b != 7 || c != 2 {
		t.Errorf("%d resources, %d data sources, %d functions", a, b, c)
	}
}

func described(t *testing.T, at string, attributes []*tfprotov6.SchemaAttribute) {
	t.Helper()
	for _, a := range attributes {
		where := at + "." + a.Name
		if !strings.HasSuffix(strings.TrimSuffix(a.Description, ")"), ".") {
			t.Errorf("%s: its description is %q", where, a.Description)
		}
		if a.Optional && a.NestedType == nil && !strings.Contains(a.Description, "`") {
			t.Errorf("%s: its description names no default or example", where)
		}
		if a.NestedType != nil {
			described(t, where, a.NestedType.Attributes)
		}
	}
}
