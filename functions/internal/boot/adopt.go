package boot

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// adoptSecret returns the reader of the secrets with which clients authenticate at other
// providers. It sends no requests before the first one is needed.
func adoptSecret(sdk aws.Config) func(context.Context, string) (string, error) {
	client := secretsmanager.NewFromConfig(sdk)
	return func(ctx context.Context, name string) (string, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &name})
		if err != nil {
			return "", err
		}
		return aws.ToString(out.SecretString), nil
	}
}
