// Command token is the Lambda function that serves POST /oauth/token.
package main

import (
	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/shared/api"
)

func main() { boot.Main((*api.API).Token, (*api.API).Warm) }
