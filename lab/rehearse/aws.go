package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// requestTimeout is more than the gateway's 30 seconds.
const requestTimeout = 60 * time.Second

// maxAnswer limits how much of an answer is read.
const maxAnswer = 8 << 20

// account makes requests to the emulator's AWS with the credentials of its root user.
type account struct {
	http *http.Client
	url  string
	key  aws.Credentials
}

func newAccount(e *emulator) *account {
	var dialer net.Dialer
	return &account{
		http: &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			// Also for <api>.execute-api.localhost, which not every resolver knows.
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "tcp", e.address)
			},
			TLSClientConfig:     &tls.Config{RootCAs: e.roots, MinVersion: tls.VersionTLS12},
			MaxIdleConnsPerHost: 64,
		}},
		url: e.url(),
		key: aws.Credentials{AccessKeyID: rootKey, SecretAccessKey: rootKey},
	}
}

// answer is an HTTP answer, and its body where that is a JSON object.
type answer struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

func (a answer) text(name string) string {
	s, _ := a.json[name].(string)
	return s
}

// want returns an error unless the status is the one that is expected.
func (a answer) want(status int) error {
	if a.status != status {
		return fmt.Errorf("the status is %d, not %d: %.2000s", a.status, status, a.body)
	}
	return nil
}

// send sends a request, signed by the key for the service unless that is "".
func (a *account) send(r *http.Request, body []byte, service string, key aws.Credentials) (answer, error) {
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	if service != "" {
		sum := sha256.Sum256(body)
		if err := v4.NewSigner().SignHTTP(r.Context(), key, r, hex.EncodeToString(sum[:]), service, region, time.Now()); err != nil {
			return answer{}, err
		}
	}
	response, err := a.http.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	got := answer{status: response.StatusCode, header: response.Header}
	if got.body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return answer{}, err
	}
	_ = json.Unmarshal(got.body, &got.json) // nil unless it is an object
	return got, nil
}

// call makes a request with JSON and reads its answer into out, unless that is nil.
func (a *account) call(ctx context.Context, service, method, path string, header map[string]string, in, out any) error {
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, a.url+path, nil)
	if err != nil {
		return err
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	got, err := a.send(r, body, service, a.key)
	if err != nil {
		return fmt.Errorf("%s %s %s: %w", service, method, path, err)
	}
	if got.status >= http.StatusMultipleChoices {
		return fmt.Errorf("%s %s %s %v: %d %.2000s", service, method, path, header, got.status, got.body)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(got.body, out); err != nil {
		return fmt.Errorf("%s %s %s: %w", service, method, path, err)
	}
	return nil
}

// targeted makes a request of the services that name their operation in a header.
func (a *account) targeted(ctx context.Context, service, target string, in, out any) error {
	return a.call(ctx, service, http.MethodPost, "/", map[string]string{"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}, in, out)
}

// query makes a request of the services that answer in XML.
func (a *account) query(ctx context.Context, service, version, action string, params map[string]string, out any) error {
	form := url.Values{"Action": {action}, "Version": {version}}
	for name, value := range params {
		form.Set(name, value)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/", nil)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	got, err := a.send(r, []byte(form.Encode()), service, a.key)
	if err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	if got.status != http.StatusOK {
		return fmt.Errorf("%s: %d %.2000s", action, got.status, got.body)
	}
	if out == nil {
		return nil
	}
	if err := xml.Unmarshal(got.body, out); err != nil {
		return fmt.Errorf("%s: %w", action, err)
	}
	return nil
}

func (a *account) cloudFormation(ctx context.Context, action string, params map[string]string, out any) error {
	return a.query(ctx, "cloudformation", "2010-05-15", action, params, out)
}

func (a *account) iam(ctx context.Context, action string, params map[string]string, out any) error {
	return a.query(ctx, "iam", "2010-05-08", action, params, out)
}

// resource is a resource of a deployed stack.
type resource struct {
	LogicalID  string `xml:"LogicalResourceId"`
	PhysicalID string `xml:"PhysicalResourceId"`
	Type       string `xml:"ResourceType"`
}

func (a *account) resources(ctx context.Context, stack string) ([]resource, error) {
	var out struct {
		Resources []resource `xml:"DescribeStackResourcesResult>StackResources>member"`
	}
	err := a.cloudFormation(ctx, "DescribeStackResources", map[string]string{"StackName": stack}, &out)
	return out.Resources, err
}

// invoke invokes a function and returns its answer. A failed invocation is an error.
func (a *account) invoke(ctx context.Context, function string, event any) (string, error) {
	body, err := json.Marshal(event)
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.url+"/2015-03-31/functions/"+url.PathEscape(function)+"/invocations", nil)
	if err != nil {
		return "", err
	}
	got, err := a.send(r, body, "lambda", a.key)
	if err != nil {
		return "", err
	}
	if failed := got.header.Get("X-Amz-Function-Error"); got.status != http.StatusOK || failed != "" {
		return "", fmt.Errorf("invoke %s: %d %s %.2000s", function, got.status, failed, got.body)
	}
	return string(got.body), nil
}

// user makes an IAM user that may do what the policy says and nothing else, or nothing at all without one. The policy is
// a document or the ARN of a managed policy. It returns the user's access key.
func (a *account) user(ctx context.Context, name, policy string) (aws.Credentials, error) {
	if err := a.iam(ctx, "CreateUser", map[string]string{"UserName": name}, nil); err != nil {
		return aws.Credentials{}, err
	}
	if strings.HasPrefix(policy, "arn:") {
		params := map[string]string{"UserName": name, "PolicyArn": policy}
		if err := a.iam(ctx, "AttachUserPolicy", params, nil); err != nil {
			return aws.Credentials{}, err
		}
	} else if policy != "" {
		params := map[string]string{"UserName": name, "PolicyName": "rehearsal", "PolicyDocument": policy}
		if err := a.iam(ctx, "PutUserPolicy", params, nil); err != nil {
			return aws.Credentials{}, err
		}
	}
	var out struct {
		ID     string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Secret string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	if err := a.iam(ctx, "CreateAccessKey", map[string]string{"UserName": name}, &out); err != nil {
		return aws.Credentials{}, err
	}
	if out.ID == "" || out.Secret == "" {
		return aws.Credentials{}, fmt.Errorf("user %s has no access key", name)
	}
	return aws.Credentials{AccessKeyID: out.ID, SecretAccessKey: out.Secret}, nil
}

// lastPart returns what follows the last colon or slash of an ARN.
func lastPart(arn string) string { return arn[strings.LastIndexAny(arn, ":/")+1:] }
