// Command manage is the Lambda function that serves the management API, /v1.
package main

import "github.com/rotor-auth/rotor/functions/internal/boot"

func main() { boot.Manage() }
