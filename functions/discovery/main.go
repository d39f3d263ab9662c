// Command discovery is the Lambda function that serves the documents under /.well-known and /openapi.json, and answers requests that have
// no route.
package main

import (
	"github.com/rotor-auth/rotor/functions/internal/boot"
	"github.com/rotor-auth/rotor/shared/keyring"
	"github.com/rotor-auth/rotor/shared/oauth"
	"github.com/rotor-auth/rotor/shared/session"
)

func main() { boot.Main((*oauth.API).Discovery, (*session.Engine).WarmKeys, keyring.ToPublish) }
