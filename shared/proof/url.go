package proof

import "strings"

// sameURL reports whether the htu of a proof is the URL of a request, after the normalization
// of RFC 3986 §6.2.2 and §6.2.3 (RFC 9449 §4.3 no. 9). Query and fragment are ignored.
func sameURL(htu, want string) bool {
	if htu == want {
		return htu != ""
	}
	a, ok := normalize(htu)
	if !ok {
		return false
	}
	b, ok := normalize(want)
	return ok && a == b
}

// normalize returns an http or https URL without query and fragment in its normal form. It
// knows no URL with user information, and none with a character that a URL cannot have.
func normalize(s string) (string, bool) {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i]
	}
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return "", false
	}
	scheme = strings.ToLower(scheme)
	var defaultPort string
	switch scheme {
	case "https":
		defaultPort = "443"
	case "http":
		defaultPort = "80"
	default:
		return "", false
	}
	authority, path := rest, ""
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	authority, ok = normalizeAuthority(authority, defaultPort)
	if !ok {
		return "", false
	}
	path, ok = decodeUnreserved(path, pathCharacters)
	if !ok {
		return "", false
	}
	return scheme + "://" + authority + removeDots(path), true
}

// normalizeAuthority returns a host in small letters, and its port unless it is the default one
// or empty.
func normalizeAuthority(s, defaultPort string) (string, bool) {
	host, port := s, ""
	// The colons of an IPv6 address stand in brackets.
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, ']') {
		host, port = s[:i], s[i+1:]
	}
	characters := hostCharacters
	inner, isLiteral := strings.CutPrefix(host, "[")
	if isLiteral {
		if inner, isLiteral = strings.CutSuffix(inner, "]"); !isLiteral || strings.Contains(inner, "%") {
			return "", false
		}
		characters += ":"
	}
	inner, ok := decodeUnreserved(inner, characters)
	if !ok || strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	inner = strings.ToLower(inner) // its escapes too, which does not matter here
	if isLiteral {
		inner = "[" + inner + "]"
	}
	if port == "" || port == defaultPort {
		return inner, true
	}
	return inner + ":" + port, true
}

// Characters beside the unreserved ones (RFC 3986 §3.2.2, §3.3).
const (
	subDelims      = "!$&'()*+,;="
	hostCharacters = subDelims
	pathCharacters = subDelims + ":@/"
)

// isUnreserved reports whether c stands for itself, escaped or not (RFC 3986 §2.3).
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// decodeUnreserved returns s with unreserved characters that are not escaped, and with escapes
// in capital letters (RFC 3986 §6.2.2.1, §6.2.2.2). It accepts unreserved characters, escapes
// and the others that are given.
func decodeUnreserved(s, others string) (string, bool) {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case isUnreserved(c) || strings.IndexByte(others, c) >= 0:
			b.WriteByte(c)
		case c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			decoded := unhex(s[i+1])<<4 | unhex(s[i+2])
			if isUnreserved(decoded) {
				b.WriteByte(decoded)
			} else {
				b.WriteString(strings.ToUpper(s[i : i+3]))
			}
			i += 2
		default:
			return "", false
		}
	}
	return b.String(), true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}

// removeDots returns a path without its dot segments (RFC 3986 §5.2.4). It returns "/" for the
// empty one (§6.2.3).
func removeDots(path string) string {
	if !strings.Contains(path, "/.") {
		if path == "" {
			return "/"
		}
		return path
	}
	segments := strings.Split(path[1:], "/")
	kept := segments[:0]
	for i, s := range segments {
		isLast := i == len(segments)-1
		switch s {
		case ".", "..":
			if s == ".." && len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
			if isLast {
				kept = append(kept, "")
			}
		default:
			kept = append(kept, s)
		}
	}
	return "/" + strings.Join(kept, "/")
}
