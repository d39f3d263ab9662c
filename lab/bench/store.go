package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/rotor-auth/rotor/lab/process"
	"github.com/rotor-auth/rotor/shared/store/embedded"
	"github.com/rotor-auth/rotor/shared/store/schema"
)

// storeVariable is an environment variable that makes this program a store: a new,
// empty one if it is "embedded", or else a proxy for the DynamoDB API at the URL.
const storeVariable = "ROTOR_BENCH_STORE"

const embeddedStore = "embedded"

// counts is what a store was asked since it was started.
type counts struct {
	Operations map[string]int64 `json:"operations"`
	Write      float64          `json:"write"` // units of the table
	Read       float64          `json:"read"`
	Index      float64          `json:"index"`   // units of the index
	Unknown    int64            `json:"unknown"` // requests whose consumption is not known
}

// since returns the counts since before.
func (c counts) since(before counts) counts {
	operations := map[string]int64{}
	for name, n := range c.Operations {
		if n -= before.Operations[name]; n != 0 {
			operations[name] = n
		}
	}
	return counts{operations, c.Write - before.Write, c.Read - before.Read, c.Index - before.Index, c.Unknown - before.Unknown}
}

// add adds other counts.
func (c *counts) add(others counts) {
	for name, n := range others.Operations {
		c.Operations[name] += n
	}
	c.Write += others.Write
	c.Read += others.Read
	c.Index += others.Index
	c.Unknown += others.Unknown
}

// countingStore serves a DynamoDB API, and its counts at countsPath.
type countingStore struct {
	below   http.RoundTripper
	url     *url.URL // of the DynamoDB API behind it
	reports bool     // whether that API reports what a request consumed

	mu     sync.Mutex
	counts counts
}

const countsPath = "/counts"

func (s *countingStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == countsPath {
		s.mu.Lock()
		text, err := json.Marshal(s.counts)
		s.mu.Unlock()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(text) // fails only if the client has gone away
		return
	}
	response, err := s.pass(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer response.Body.Close()
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body) // fails only if the client has gone away
}

// pass forwards a request, and counts it.
func (s *countingStore) pass(r *http.Request) (*http.Response, error) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host, out.Host = s.url.Scheme, s.url.Host, s.url.Host
	_, bills := reads[operation]
	if !bills || !s.reports {
		s.count(operation, used{})
		return s.below.RoundTrip(out)
	}
	asked, allOld, err := asking(r.Body)
	if err != nil {
		return nil, fmt.Errorf("read a %s: %w", operation, err)
	}
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(asked)), int64(len(asked))
	response, err := s.below.RoundTrip(out)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	u, err := consumed(operation, allOld, response.StatusCode, answer)
	if err != nil {
		return nil, fmt.Errorf("read what a %s consumed: %w", operation, err)
	}
	s.count(operation, u)
	response.Body = io.NopCloser(bytes.NewReader(answer))
	return response, nil
}

func (s *countingStore) count(operation string, u used) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts.Operations[operation]++
	if reads[operation] {
		s.counts.Read += u.table
	} else {
		s.counts.Write += u.table
	}
	s.counts.Index += u.index
	if u.unknown {
		s.counts.Unknown++
	}
}

func newCountingStore(below string) (*countingStore, error) {
	s := &countingStore{counts: counts{Operations: map[string]int64{}}}
	if below == embeddedStore {
		s.below, s.url = embedded.New(), &url.URL{Scheme: "http", Host: "dynamodb.invalid"}
		return s, nil
	}
	u, err := url.Parse(below)
	if err != nil {
		return nil, err
	}
	s.below, s.url, s.reports = &http.Transport{MaxIdleConnsPerHost: 128, MaxConnsPerHost: 128, DisableCompression: true}, u, true
	return s, nil
}

// serveStore runs this program as a store, until ctx is done.
func serveStore(ctx context.Context, below string, stdout io.Writer) error {
	s, err := newCountingStore(below)
	if err != nil {
		return err
	}
	return serve(ctx, &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}, stdout)
}

// serve runs a server on loopback, until ctx is done.
func serve(ctx context.Context, server *http.Server, stdout io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = server.Close() }) // the client has ended, or is about to
	if _, err := fmt.Fprintf(stdout, "serving at http://%s\n", listener.Addr()); err != nil {
		return err
	}
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// storeProcess is a store in a separate process.
type storeProcess struct {
	*process.Process
	url string
}

// startStore starts this program as a store.
func (b *bench) startStore(ctx context.Context, below string) (*storeProcess, error) {
	p, url, err := b.startSelf(ctx, storeVariable+"="+below)
	if err != nil {
		return nil, fmt.Errorf("start a store: %w", err)
	}
	return &storeProcess{p, url}, nil
}

// serving matches what this program writes once it serves.
var serving = regexp.MustCompile(`(?m)^serving at (http://\S+)\n`)

// startSelf starts this program as a server, and returns its URL.
func (b *bench) startSelf(ctx context.Context, env ...string) (*process.Process, string, error) {
	return startServer(ctx, b.self, env...)
}

// startServer starts a program that says where it serves.
func startServer(ctx context.Context, program string, env ...string) (*process.Process, string, error) {
	p, err := process.Start(ctx, program, env...)
	if err != nil {
		return nil, "", err
	}
	ticker, late := time.NewTicker(5*time.Millisecond), time.After(time.Minute)
	defer ticker.Stop()
	for {
		if match := serving.FindStringSubmatch(p.Output()); match != nil {
			return p, match[1], nil
		}
		select {
		case <-ticker.C:
		case <-p.Ended():
			return nil, "", fmt.Errorf("it has ended: %s", p.Output())
		case <-late:
			return nil, "", errors.Join(errors.New("it does not say where it is"), p.Kill())
		}
	}
}

// counts asks the store for its counts.
func (s *storeProcess) counts(ctx context.Context) (counts, error) {
	var c counts
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+countsPath, nil)
	if err != nil {
		return c, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return c, fmt.Errorf("ask the store for its counts: %w", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&c); err != nil {
		return c, fmt.Errorf("ask the store for its counts: %w", err)
	}
	return c, nil
}

// items returns the sizes, as DynamoDB counts them, of a table's items whose sort
// key begins with the prefix. The table must be small, because only one page is
// read.
func items(ctx context.Context, rt http.RoundTripper, endpoint, table, prefix string) ([]int, error) {
	all, err := scan(ctx, rt, endpoint, table)
	if err != nil {
		return nil, err
	}
	var sizes []int
	for _, i := range all {
		if strings.HasPrefix(i.text(schema.SK), prefix) {
			n, err := i.size()
			if err != nil {
				return nil, fmt.Errorf("scan the table: %w", err)
			}
			sizes = append(sizes, n)
		}
	}
	return sizes, nil
}

// scan returns the first page of a table.
func scan(ctx context.Context, rt http.RoundTripper, endpoint, table string) ([]item, error) {
	var page struct{ Items []item }
	if err := ask(ctx, rt, endpoint, "Scan", map[string]any{"TableName": table}, &page); err != nil {
		return nil, fmt.Errorf("scan the table: %w", err)
	}
	return page.Items, nil
}

// ask makes a request to a DynamoDB API that checks no signature, and reads its
// response into out.
func ask(ctx context.Context, rt http.RoundTripper, endpoint, operation string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint+"/", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-amz-json-1.0")
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
	response, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return json.Unmarshal(answer, out)
}
