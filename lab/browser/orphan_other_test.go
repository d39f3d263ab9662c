//go:build browser && !linux

package browser

import "os/exec"

// dieWithUs does nothing where the kernel has no such signal.
func dieWithUs(*exec.Cmd) {}
