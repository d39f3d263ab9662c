// Package version says which version of Rotor this is.
package version

// Number is the version, as of Semantic Versioning. A release has its number, and its tag
// is v and that. What comes after a release has the number of the next one and -dev, so
// that no log line, health check or bug report takes it for either.
const Number = "0.2.0-dev"
