// Command manage is the Lambda function that serves the management API, /v1.
package main

import (
	"github.com/rotor-auth/rotor/functions/internal/gateway"
	"github.com/rotor-auth/rotor/shared/api"
)

func main() { gateway.Main((*api.API).Manage, (*api.API).Warm) }
