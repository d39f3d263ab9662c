package command

import (
	"runtime"

	"github.com/spf13/cobra"

	"github.com/rotor-auth/rotor/shared/version"
)

func (e *env) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			if e.json {
				return e.io.WriteJSON(struct {
					Version string `json:"version"`
					Go      string `json:"go"`
					OS      string `json:"os"`
					Arch    string `json:"arch"`
				}{version.Number, runtime.Version(), runtime.GOOS, runtime.GOARCH})
			}
			e.io.Printf("rotor %s (%s, %s/%s)\n", version.Number, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
