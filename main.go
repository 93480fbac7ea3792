// Command terraform-provider-pgbackup serves the provider to Terraform or
// OpenTofu.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/pgbackup/terraform-provider-pgbackup/provider"
)

// version is set by the build (-X main.version=1.2.3).
var version = "dev"

func main() {
	debug := flag.Bool("debug", false, "wait for a debugger: prints the environment variable that attaches Terraform to this process")
	flag.Parse()
	err := providerserver.Serve(context.Background(), provider.New(version), providerserver.ServeOpts{
		Address: "registry.terraform.io/pgbackup/pgbackup",
		Debug:   *debug,
	})
	if err != nil {
		log.Fatal(err)
	}
}
