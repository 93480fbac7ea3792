package testenv

import "testing"

// AWSCLI returns the path of the AWS command line interface, with which targets
// fetch the runner.
func AWSCLI(t testing.TB) string {
	t.Helper()
	return PythonTool(t, "aws")
}
