package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/rotor-auth/rotor/functions/internal/gateway"
)

// throughEdge returns h behind the edge that c describes, or h itself if there is none.
// It reads the edge's secret ahead of the first request.
func throughEdge(ctx context.Context, h http.Handler, c Config, log *slog.Logger) (http.Handler, error) {
	if c.EdgeSecret == "" {
		return h, nil
	}
	sdk, err := loadSDK(ctx, attemptTimeout)
	if err != nil {
		return nil, err
	}
	secret := &edgeSecret{client: secretsmanager.NewFromConfig(sdk), id: c.EdgeSecret}
	ctx, cancel := context.WithTimeout(ctx, warmTimeout)
	defer cancel()
	if _, err := secret.read(ctx); err != nil {
		log.WarnContext(ctx, "edge secret not read ahead, the first request will read again", slog.Any("error", err))
	}
	return gateway.ThroughEdge(h, secret.read, log), nil
}

// edgeSecret is the secret that CloudFront sends. It is read once, since it never changes.
type edgeSecret struct {
	client *secretsmanager.Client
	id     string

	mu    sync.Mutex
	value string
}

func (s *edgeSecret) read(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.value != "" {
		return s.value, nil
	}
	out, err := s.client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &s.id})
	if err != nil {
		return "", fmt.Errorf("read the edge's secret: %w", err)
	}
	if s.value = aws.ToString(out.SecretString); s.value == "" {
		return "", errors.New("read the edge's secret: it is empty")
	}
	return s.value, nil
}
