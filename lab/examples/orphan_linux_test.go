//go:build examples

package examples

import (
	"os/exec"
	"syscall"
)

// dieWithUs lets a program end with this one, however this one ends.
func dieWithUs(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
