// Package version says which version of Rotor this is.
package version

// Number is the version, as of Semantic Versioning, that is being developed or has been
// released. A release's tag is v and this.
const Number = "0.1.0"
