// Package sigv4 verifies AWS Signature Version 4, as API Gateway does before /v1. The code is
// not that of the SDK which signs.
package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The only credentials that are accepted, which are made up.
const (
	AccessKeyID     = "AKIDEXAMPLE"
	SecretAccessKey = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
	SessionToken    = "a+session/token=="
	Region          = "eu-central-1"
)

// Verify returns a handler that answers 403, as API Gateway does, to requests that are not signed by these
// credentials, and passes on the others.
func Verify(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
		if err == nil {
			err = verify(r, body, time.Now())
		}
		if err != nil {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, `{"message":%q}`, err)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

var authorization = regexp.MustCompile(`\AAWS4-HMAC-SHA256 Credential=([A-Z0-9]+)/(\d{8})/([a-z0-9-]+)/([a-z-]+)/aws4_request, ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{64})\z`)

// verify returns an error unless the request is signed.
func verify(r *http.Request, body []byte, now time.Time) error {
	m := authorization.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return errors.New("the request has no signature")
	}
	key, day, scopeRegion, service, names, signature := m[1], m[2], m[3], m[4], m[5], m[6]
	date := r.Header.Get("X-Amz-Date")
	at, err := time.Parse("20060102T150405Z", date)
	switch {
	case err != nil || !strings.HasPrefix(date, day):
		return errors.New("the date is missing, or not that of the credential")
	case now.Sub(at).Abs() > 5*time.Minute:
		return errors.New("the signature has expired")
	case key != AccessKeyID || scopeRegion != Region || service != "execute-api":
		return errors.New("the credentials are unknown, or for another region or service")
	case r.Header.Get("X-Amz-Security-Token") != SessionToken:
		return errors.New("the session token is wrong")
	}
	signed := strings.Split(names, ";")
	if !slices.IsSorted(signed) {
		return errors.New("the names of the signed headers are not sorted")
	}
	for _, name := range []string{"host", "x-amz-date", "x-amz-security-token"} {
		if !slices.Contains(signed, name) {
			return fmt.Errorf("%s is not signed", name)
		}
	}
	var headers strings.Builder
	for _, name := range signed {
		values := r.Header.Values(name)
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		if len(values) == 0 {
			return fmt.Errorf("%s is signed and was not sent", name)
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		fmt.Fprintf(&headers, "%s:%s\n", name, strings.Join(values, ","))
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(body)
	canonical := strings.Join([]string{r.Method, canonicalPath(r.URL.EscapedPath()), query, headers.String(), names, hex.EncodeToString(sum[:])}, "\n")
	hash := sha256.Sum256([]byte(canonical))
	scope := strings.Join([]string{day, Region, "execute-api", "aws4_request"}, "/")
	derived := []byte("AWS4" + SecretAccessKey)
	for _, part := range strings.Split(scope, "/") {
		derived = mac(derived, part)
	}
	want := mac(derived, strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, hex.EncodeToString(hash[:])}, "\n"))
	got, err := hex.DecodeString(signature)
	if err != nil || !hmac.Equal(got, want) {
		return errors.New("the signature is not that of this request")
	}
	return nil
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// canonicalPath encodes each segment of the path as it was sent once more, as for all
// services but S3.
func canonicalPath(sent string) string {
	segments := strings.Split(sent, "/")
	for i, s := range segments {
		segments[i] = encode(s)
	}
	return strings.Join(segments, "/")
}

// canonicalQuery decodes the parameters, and encodes and sorts them. A plus sign is refused:
// some take it for a space.
func canonicalQuery(sent string) (string, error) {
	if sent == "" {
		return "", nil
	}
	if strings.Contains(sent, "+") {
		return "", errors.New("the query has a plus sign")
	}
	var all [][2]string
	for part := range strings.SplitSeq(sent, "&") {
		name, value, _ := strings.Cut(part, "=")
		n, err := url.PathUnescape(name)
		v, err2 := url.PathUnescape(value)
		if err := errors.Join(err, err2); err != nil {
			return "", err
		}
		all = append(all, [2]string{encode(n), encode(v)})
	}
	slices.SortFunc(all, func(a, b [2]string) int { return strings.Compare(a[0]+"\x00"+a[1], b[0]+"\x00"+b[1]) })
	parts := make([]string, len(all))
	for i, p := range all {
		parts[i] = p[0] + "=" + p[1]
	}
	return strings.Join(parts, "&"), nil
}

// encode encodes all but the unreserved characters of RFC 3986.
func encode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
