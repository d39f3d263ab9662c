package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/rotor-auth/rotor/shared/session"
)

// BalancerHandler answers events of an Application Load Balancer with an http.Handler. The
// target group must have multi-value headers, without which a header or cookie that comes
// twice arrives once.
//
// It treats other events and unreadable requests as [Handler] does. The request that the
// http.Handler gets is a server's, since the load balancer passes path and query on as the
// client sent them. Its remote address is the one that the load balancer has added to
// X-Forwarded-For, and it is logged under an id that the load balancer or Lambda has given.
type BalancerHandler struct {
	inner http.Handler
	log   *slog.Logger
}

var _ lambda.Handler = (*BalancerHandler)(nil)

// NewBalancerHandler returns a BalancerHandler that calls h.
func NewBalancerHandler(h http.Handler, log *slog.Logger) *BalancerHandler {
	return &BalancerHandler{inner: h, log: log}
}

// Invoke answers one event.
func (h *BalancerHandler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel := Early(ctx)
	defer cancel()
	event, err := readBalanced(payload)
	if err != nil {
		h.log.ErrorContext(ctx, "event refused", slog.Any("error", err), slog.Int("payload_bytes", len(payload)))
		return nil, err
	}
	w := httptest.NewRecorder()
	if r, err := balanced(ctx, event); err == nil {
		h.inner.ServeHTTP(forMethod(w, r.Method), r)
	} else { // the error is not logged, because it quotes what the client sent
		h.log.WarnContext(ctx, "request malformed", slog.Int("payload_bytes", len(payload)))
		for name, value := range malformedHeaders() {
			w.Header().Set(name, value)
		}
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(forMethod(w, event.HTTPMethod), malformedBody)
	}
	answer := w.Result()
	out, err := json.Marshal(balancedAnswer{
		StatusCode:        answer.StatusCode,
		StatusDescription: fmt.Sprintf("%d %s", answer.StatusCode, http.StatusText(answer.StatusCode)),
		MultiValueHeaders: answer.Header,
		Body:              w.Body.String(),
	})
	if err != nil {
		return nil, fmt.Errorf("write the answer to a load balancer: %w", err)
	}
	return out, nil
}

// balancedAnswer is an answer to a load balancer. That of the package events would have a member
// headers that is null, and load balancers have answered 502 to a null.
type balancedAnswer struct {
	StatusCode        int         `json:"statusCode"`
	StatusDescription string      `json:"statusDescription"`
	MultiValueHeaders http.Header `json:"multiValueHeaders"`
	Body              string      `json:"body"`
	IsBase64Encoded   bool        `json:"isBase64Encoded"`
}

// readBalanced returns the event of a load balancer, or an error if the payload is anything else.
func readBalanced(payload []byte) (*events.ALBTargetGroupRequest, error) {
	var event events.ALBTargetGroupRequest
	if err := json.Unmarshal(payload, &event); err != nil {
		// encoding/json's errors quote at most a character or a number.
		return nil, fmt.Errorf("read an event of a load balancer: %w", err)
	}
	if event.RequestContext.ELB.TargetGroupArn == "" || event.HTTPMethod == "" {
		return nil, errors.New("not an event of an Application Load Balancer")
	}
	if len(event.MultiValueHeaders) == 0 { // every request has a host
		return nil, errors.New("an event without multi-value headers: the target group must have the attribute lambda.multi_value_headers.enabled")
	}
	return &event, nil
}

// balanced returns the request of an event.
func balanced(ctx context.Context, event *events.ALBTargetGroupRequest) (*http.Request, error) {
	var body io.Reader = strings.NewReader(event.Body)
	if event.IsBase64Encoded {
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	r, err := http.NewRequestWithContext(ctx, event.HTTPMethod, "/", body)
	if err != nil {
		return nil, fmt.Errorf("read the method: %w", err)
	}
	path, err := url.PathUnescape(event.Path)
	if err != nil {
		return nil, fmt.Errorf("read the path: %w", err)
	}
	query, err := decoded(event.MultiValueQueryStringParameters)
	if err != nil {
		return nil, fmt.Errorf("read the query: %w", err)
	}
	r.URL = &url.URL{Path: path, RawPath: event.Path, RawQuery: query.Encode()}
	r.RequestURI = r.URL.RequestURI()
	for name, values := range event.MultiValueHeaders {
		key := http.CanonicalHeaderKey(name)
		if _, twice := r.Header[key]; twice { // nothing tells which of them is the load balancer's
			return nil, errors.New("a header has two names that differ in case")
		}
		r.Header[key] = values
	}
	r.Host = r.Header.Get("Host")
	r.RemoteAddr = sender(r.Header)
	return r.WithContext(session.WithRequestID(ctx, requestID(ctx, r.Header))), nil
}

// decoded returns the parameters of a query whose names and values are still as they were sent.
// Names that were written in two ways are one.
func decoded(sent map[string][]string) (url.Values, error) {
	query := url.Values{}
	for _, key := range slices.Sorted(maps.Keys(sent)) {
		name, err := url.QueryUnescape(key)
		if err != nil {
			return nil, err
		}
		for _, v := range sent[key] {
			value, err := url.QueryUnescape(v)
			if err != nil {
				return nil, err
			}
			query.Add(name, value)
		}
	}
	return query, nil
}

// sender returns the address that the load balancer has added to X-Forwarded-For: the last one
// of all. What stands before it is the client's own word. Without an address there, it
// returns "".
func sender(header http.Header) string {
	all := strings.Join(header.Values("X-Forwarded-For"), ",")
	last := strings.TrimSpace(all[strings.LastIndexByte(all, ',')+1:])
	if withPort, err := netip.ParseAddrPort(last); err == nil { // as the load balancer may be set to add it
		return withPort.Addr().String()
	}
	ip, err := netip.ParseAddr(strings.Trim(last, "[]"))
	if err != nil {
		return ""
	}
	return ip.String()
}

// requestID returns the trace id that the load balancer has given to the request: Self, beside
// the Root of a client that traces, or else Root. If it is not one, or there are several, it
// returns Lambda's own id of the invocation.
func requestID(ctx context.Context, header http.Header) string {
	fields := map[string][]string{}
	for field := range strings.SplitSeq(strings.Join(header.Values("X-Amzn-Trace-Id"), ";"), ";") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = append(fields[name], value)
	}
	ids := fields["Self"]
	if ids == nil {
		ids = fields["Root"]
	}
	if len(ids) == 1 && isTraceID(ids[0]) {
		return ids[0]
	}
	invocation, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return ""
	}
	return invocation.AwsRequestID
}

// isTraceID reports whether s has the form of an id of X-Ray: 1, eight hexadecimal digits of a
// time and 24 others.
func isTraceID(s string) bool {
	return len(s) == 35 && strings.HasPrefix(s, "1-") && s[10] == '-' && strings.Trim(s[2:10]+s[11:], "0123456789abcdef") == ""
}
