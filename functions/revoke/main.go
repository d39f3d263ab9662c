// Command revoke is the Lambda function that serves POST /oauth/revoke.
package main

import (
	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/session"
)

func main() { boot.Main((*oauth.API).Revoke, (*session.Engine).Warm, keyring.ToCheck) }
