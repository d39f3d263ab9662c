package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"
)

// readyTimeout is how long the local program may take until it responds.
const readyTimeout = 60 * time.Second

// Rotor is a running local program, which serves at URL.
type Rotor struct {
	*Process
	URL string
}

// ready matches the first line that the local program writes.
var ready = regexp.MustCompile(`(?m)^Rotor is ready at (http://\S+)\n`)

// secret matches the secret of a demo client, which the local program prints.
var secret = regexp.MustCompile(`rotor_secret_[A-Za-z0-9_-]+`)

// StartRotor starts "rotor run" of the program at path, which is cmd/rotor, on a
// free port of loopback, and waits until it responds. ADDR=host:port in env chooses
// another address, such as that of an earlier program.
func StartRotor(ctx context.Context, path string, env ...string) (*Rotor, error) {
	p, err := launch(ctx, append([]string{"ADDR=127.0.0.1:0"}, env...), path, "run")
	if err != nil {
		return nil, err
	}
	r := &Rotor{Process: p}
	if err := r.wait(ctx); err != nil {
		said := secret.ReplaceAllString(p.Output(), "[redacted]")
		return nil, errors.Join(fmt.Errorf("start Rotor: %w", err), p.Kill(), errors.New(said))
	}
	return r, nil
}

// wait waits until the program has printed its address and responds there.
func (r *Rotor) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	err := errors.New("it does not say that it is ready")
	for {
		select {
		case <-r.ended:
			return fmt.Errorf("it ended: %w", errors.Join(ctx.Err(), err)) // the end of the context also ends the program
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", errors.Join(ctx.Err(), err))
		case <-ticker.C:
		}
		if match := ready.FindStringSubmatch(r.Output()); match != nil {
			r.URL = match[1]
			if err = answers(ctx, client, r.URL); err == nil {
				return nil
			}
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/.well-known/jwks.json", nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("its keys are answered with %s", response.Status)
	}
	return nil
}
