//go:build examples && !linux

package examples

import "os/exec"

// dieWithUs does nothing where the kernel has no such signal.
func dieWithUs(*exec.Cmd) {}
