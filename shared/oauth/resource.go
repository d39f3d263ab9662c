package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rotor-auth/rotor/shared/session"
)

// requestedResource returns the resources that a refresh asks for, without duplicates; nil
// stands for the family's whole audience. They must be absolute URIs without a fragment
// (RFC 8707 §2), and no more than a family can have.
func requestedResource(p params) ([]string, error) {
	var resource []string
	for _, r := range p[resourceParam] {
		if !isResource(r) {
			return nil, invalidTarget("A resource must be an absolute URI without a fragment.")
		}
		if !slices.Contains(resource, r) {
			resource = append(resource, r)
		}
	}
	if len(resource) > session.MaxAudiences {
		return nil, errTarget
	}
	return resource, nil
}

// errTarget is returned if a requested resource is not in the family's audience.
var errTarget = invalidTarget("A requested resource is not among the audiences of this refresh token.")

// invalidTarget returns the error of RFC 8707 §2.
func invalidTarget(description string) *oauthError {
	return &oauthError{status: http.StatusBadRequest, code: "invalid_target", description: description}
}

// isResource reports whether s is an absolute URI (RFC 3986 §4.3). By that definition it has
// no fragment.
func isResource(s string) bool {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?[]@!$&'()*+,;=%"
	if strings.Trim(s, characters) != "" {
		return false
	}
	u, err := url.Parse(s)
	switch {
	case err != nil, !u.IsAbs():
		return false
	case u.Scheme == "https", u.Scheme == "http":
		return u.Hostname() != ""
	}
	return true
}
