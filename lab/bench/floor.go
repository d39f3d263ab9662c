package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/rotor-auth/rotor/lab/inside"
	"github.com/rotor-auth/rotor/lab/process"
	"github.com/rotor-auth/rotor/shared/signing"
)

// floorVariable is an environment variable that makes this program a floor with that
// signature algorithm, over the DynamoDB API in AWS_ENDPOINT_URL_DYNAMODB.
const floorVariable = "ROTOR_BENCH_FLOOR"

// floor answers a refresh with the least that a service of this kind does: an empty
// handler of net/http, one signature of what is already encoded, and one UpdateItem
// by a client of the SDK as it comes. It reads no parameter, checks no token, encodes
// nothing and logs nothing.
//
// At first Rotor itself serves everything in its place, and the floor learns from it:
// each family's expressions, values and key, and the answer. Once it has seen each
// family refreshed twice, it repeats the last refresh. Only the number of the token
// moves on, so that the condition holds.
type floor struct {
	rotor *inside.Rotor
	db    *dynamodb.Client
	sign  func(digest []byte) error

	learned atomic.Bool // what follows is complete
	input   []byte      // of the signature
	free    chan *floorFamily
	header  http.Header
	before  []byte // the answer up to the last digits of the refresh token
	after   []byte // the answer after them
	count   atomic.Int64

	mu       sync.Mutex // held while learning
	recorder *recorder
	families map[string]*floorFamily // by key
	twice    int                     // how many of them were refreshed twice
}

// digits is how much of the refresh token in a floor's answer is a number, which
// makes it another token than the one presented.
const digits = 9

// floorFamily is a family that a floor updates.
type floorFamily struct {
	in   *dynamodb.UpdateItemInput // its last refresh
	n    int                       // of its newest token
	seen int                       // how many refreshes
}

func newFloor(ctx context.Context, alg signing.Algorithm, endpoint string) (*floor, error) {
	database := aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("local", "local", ""), BaseEndpoint: &endpoint,
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { // as the local program has it
			t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.MaxIdleConns = sessions, sessions, sessions
		}),
	}
	f := &floor{
		db: dynamodb.NewFromConfig(database), recorder: &recorder{HTTPClient: database.HTTPClient},
		families: map[string]*floorFamily{}, free: make(chan *floorFamily, sessions),
	}
	database.HTTPClient = f.recorder
	var err error
	issuer := "http://127.0.0.1:32768" // as long as the local program's
	if f.rotor, err = inside.New(ctx, inside.Options{Database: database, Table: newTable(), Issuer: issuer, Algorithm: alg}); err != nil {
		return nil, err
	}
	f.sign, err = signerOf(alg)
	return f, err
}

const tokenPath = "/oauth/token"

func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == tokenPath && f.learned.Load() {
		f.answer(w, r)
	} else {
		f.learn(w, r)
	}
}

func (f *floor) answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // as anything that reads parameters does
	if err := f.refresh(r.Context()); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	maps.Copy(w.Header(), f.header)
	answer := make([]byte, 0, len(f.before)+digits+len(f.after))
	answer = append(answer, f.before...)
	answer = strconv.AppendInt(answer, 1e8+f.count.Add(1), 10)
	_, _ = w.Write(append(answer, f.after...)) // fails only if the client has gone away
}

func (f *floor) refresh(ctx context.Context) error {
	digest := sha256.Sum256(f.input)
	if err := f.sign(digest[:]); err != nil {
		return err
	}
	family := <-f.free
	defer func() { f.free <- family }()
	family.in.ExpressionAttributeValues[":n"] = &types.AttributeValueMemberN{Value: strconv.Itoa(family.n)}
	family.in.ExpressionAttributeValues[":next"] = &types.AttributeValueMemberN{Value: strconv.Itoa(family.n + 1)}
	if _, err := f.db.UpdateItem(ctx, family.in); err != nil {
		return err
	}
	family.n++
	return nil
}

// signerOf returns what signs with a new key.
func signerOf(alg signing.Algorithm) (func(digest []byte) error, error) {
	if alg == signing.RS256 {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		return func(digest []byte) error {
			_, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, digest)
			return err
		}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return func(digest []byte) error {
		_, err := ecdsa.SignASN1(rand.Reader, key, digest)
		return err
	}, err
}

// serveFloor runs this program as a floor, until ctx is done.
func serveFloor(ctx context.Context, algorithm string, stdout io.Writer) error {
	// Together with what this program uses it is as much as the local program has, so that the collector runs as often.
	ballast := make([]byte, 12<<20)
	defer runtime.KeepAlive(ballast)
	alg, err := signing.ParseAlgorithm(algorithm)
	if err != nil {
		return err
	}
	f, err := newFloor(ctx, alg, os.Getenv("AWS_ENDPOINT_URL_DYNAMODB"))
	if err != nil {
		return err
	}
	return serve(ctx, &http.Server{ // as the local program has it
		Handler: f, ReadHeaderTimeout: 2 * time.Minute, ReadTimeout: 2 * time.Minute, WriteTimeout: time.Minute, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 16 << 10,
	}, stdout)
}

// startFloor starts this program as a floor over the store at the URL.
func (b *bench) startFloor(ctx context.Context, store, algorithm string) (*service, error) {
	p, url, err := b.startSelf(ctx, floorVariable+"="+algorithm, "AWS_ENDPOINT_URL_DYNAMODB="+store)
	if err != nil {
		return nil, fmt.Errorf("start the floor: %w", err)
	}
	return &service{Rotor: &process.Rotor{Process: p, URL: url}}, nil
}
