package manage_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/rotor-auth/rotor/clients/manage"
)

// After a password change a user's other sessions end.
func Example() {
	ctx := context.Background()
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		panic(err)
	}
	rotor, err := manage.New("https://auth.example.com", manage.Options{AWS: &cfg})
	if err != nil {
		panic(err)
	}
	here := "5oSM_mhQKA0P9oHZCRhalgGiIKc-0K77w4fmNsZpjZc" // the family of the session in which it was changed
	ended := 0
	for done, err := range rotor.RevokeFamilies(ctx, manage.Revocation{UserID: "alice", Except: here, Cause: "password_changed"}) {
		var refused *manage.Error
		if errors.As(err, &refused) && refused.Status == 422 {
			fmt.Println("that session has ended itself:", refused.Detail)
			return
		}
		if err != nil {
			panic(err)
		}
		ended += done.Families
	}
	fmt.Println(ended, "other sessions have ended")
}
