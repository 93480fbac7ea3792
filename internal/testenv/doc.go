// Package testenv starts the real parts tests are run against: S3 servers, an
// emulator of AWS, TCP and HTTP fault proxies, PostgreSQL clusters and the tools
// they need.
//
// What lives here: starting a real server on loopback, waiting until it answers,
// and stopping it when the test ends. What must not: imitations of any of them,
// assertions about the product, and anything a non-test package imports.
//
// A part that can not be found fails the test and says what to install; nothing
// is skipped.
package testenv
