package deployment

import "github.com/hashicorp/terraform-plugin-framework/path"

// AtAttribute is an error that one attribute is the reason of. Terraform prints the
// lines of that attribute: a block that may hold a secret is none to name here.
type AtAttribute struct {
	error
	At path.Path
}

func (a AtAttribute) Unwrap() error { return a.error }

// At ties an error to an attribute.
func At(at path.Path, err error) error { return AtAttribute{err, at} }

// split gives the errors that errors.Join put together.
func split(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range joined.Unwrap() {
			all = append(all, split(e)...)
		}
		return all
	}
	return []error{err}
}
