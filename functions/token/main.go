// Command token is the Lambda function that serves POST /oauth/token.
package main

import (
	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/session"
)

func main() { boot.Main((*oauth.API).Token, (*session.Engine).Warm, keyring.ToIssue) }
