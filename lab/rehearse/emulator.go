package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	region    = "us-east-1"
	accountID = "000000000000" // the emulator's account
	// rootKey is an access key of the account's root user, which may do anything.
	rootKey = "test"

	startTimeout = 30 * time.Second
	stopTimeout  = 5 * time.Second
)

// emulator is a running ministack. It serves all of AWS under one address of loopback, over TLS, because issuers are
// https URLs and the bucket that CDK publishes to refuses plain HTTP.
type emulator struct {
	cmd      *exec.Cmd
	ended    chan struct{}
	log      string // the file with its output and that of the functions
	address  string
	certFile string
	roots    *x509.CertPool
}

// startEmulator starts the emulator, with its state in the folder dir, and waits until it accepts connections. secrets
// is the URL at which the functions reach Secrets Manager.
func startEmulator(ctx context.Context, python, dir, address, secrets string) (*emulator, error) {
	e := &emulator{
		ended: make(chan struct{}), address: address,
		log: filepath.Join(dir, "emulator.log"), certFile: filepath.Join(dir, "certificate.pem"), roots: x509.NewCertPool(),
	}
	keyFile := filepath.Join(dir, "key.pem")
	if err := e.certify(keyFile); err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(e.log)
	if err != nil {
		return nil, err
	}
	// The ministack command would take port 443 as well. Like its own "--detach", this starts the server below it.
	e.cmd = exec.CommandContext(ctx, python, "-m", "hypercorn", "ministack.app:app", "--bind", address, //nolint:gosec // the emulator's own Python
		"--certfile", e.certFile, "--keyfile", keyFile, "--keep-alive", "75", "--log-level", "WARNING")
	e.cmd.Dir = dir
	// This is the whole environment. The functions inherit it: whatever the caller has of AWS is kept from them.
	e.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LANG=C.UTF-8",
		"BIND_HOST=127.0.0.1", "GATEWAY_PORT=" + port, "EDGE_PORT=" + port, "USE_SSL=1",
		"MINISTACK_SSL_CERT=" + e.certFile, "MINISTACK_SSL_KEY=" + keyFile, "SSL_CERT_FILE=" + e.certFile,
		"S3_DATA_DIR=" + filepath.Join(dir, "s3"), "STATE_DIR=" + filepath.Join(dir, "state"),
		"MINISTACK_REGION=" + region, "MINISTACK_ACCOUNT_ID=" + accountID,
		"AUTH=true", // signatures are verified, and roles and policies are enforced
		"MINISTACK_WORKER_THREADS=256",
		"AWS_ENDPOINT_URL=" + e.url(), "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + secrets,
		"AWS_ACCESS_KEY_ID=" + rootKey, "AWS_SECRET_ACCESS_KEY=" + rootKey, "AWS_EC2_METADATA_DISABLED=true",
		"AWS_LAMBDA_LOG_FORMAT=JSON", // Lambda sets it as the template says; the emulator does not
		"LOG_LEVEL=INFO", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1",
	}
	e.cmd.Stdout, e.cmd.Stderr = log, log
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the functions' programs are in its group, and end with it
	e.cmd.Cancel = func() error { return syscall.Kill(-e.cmd.Process.Pid, syscall.SIGKILL) }
	if err := errors.Join(e.cmd.Start(), log.Close()); err != nil {
		return nil, fmt.Errorf("start the emulator: %w", err)
	}
	go func() {
		_ = e.cmd.Wait() // however it ends
		close(e.ended)
	}()
	if err := e.wait(ctx); err != nil {
		e.stop()
		return nil, errors.Join(fmt.Errorf("start the emulator: %w", err), e.lastLines())
	}
	return e, nil
}

func (e *emulator) url() string { return "https://" + e.address }

func (e *emulator) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	var dialer net.Dialer
	for {
		select {
		case <-e.ended:
			return errors.New("it has ended by itself")
		case <-ctx.Done():
			return fmt.Errorf("nothing listens at %s: %w", e.address, ctx.Err())
		case <-ticker.C:
		}
		if conn, err := dialer.DialContext(ctx, "tcp", e.address); err == nil {
			return conn.Close()
		}
	}
}

// stop ends the emulator and the functions' programs, and waits until the emulator has ended.
func (e *emulator) stop() {
	group := -e.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	select {
	case <-e.ended:
	case <-time.After(stopTimeout):
	}
	_ = syscall.Kill(group, syscall.SIGKILL) // whatever is left of the group
	<-e.ended
}

// lastLines returns the end of the emulator's log as an error.
func (e *emulator) lastLines() error {
	const last = 40
	log, err := os.ReadFile(e.log)
	if err != nil {
		return err
	}
	var lines []string
	for line := range strings.Lines(string(log)) {
		if !strings.Contains(line, "environment spawned") { // one for each instance of a function
			lines = append(lines, line)
		}
	}
	return fmt.Errorf("the emulator's log ends:\n%s", strings.Join(lines[max(0, len(lines)-last):], ""))
}

// certify makes a certificate for every name under which the emulator is reached.
func (e *emulator) certify(keyFile string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "Rotor's rehearsal"},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost", "*.execute-api.localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	e.roots.AppendCertsFromPEM(certificate)
	return errors.Join(
		os.WriteFile(e.certFile, certificate, 0o600),
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600),
	)
}

// freeAddress returns an address of loopback at which nothing listens.
func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
