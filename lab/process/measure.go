package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errNotLinux is returned where there is no /proc as on Linux.
var errNotLinux = errors.New("running processes are measured on Linux alone")

// CPU returns the program's CPU time, in user and system mode. For a running program
// it works only on Linux.
func (p *Process) CPU() (time.Duration, error) {
	if p.hasEnded() {
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), nil
	}
	if runtime.GOOS != "linux" {
		return 0, errNotLinux
	}
	// The id of the clock of another process's CPU time: see clock_getcpuclockid(3) and
	// MAKE_PROCESS_CPUCLOCK of the kernel. /proc has the same time, to 10 ms.
	const scheduled = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^p.PID()<<3|scheduled), &t); err != nil { //nolint:gosec // a process id has 22 bits
		return 0, fmt.Errorf("CPU of %s: %w", p.name(), err)
	}
	return time.Duration(t.Nano()), nil
}

// RSS returns the resident memory of the running program in bytes, on Linux.
func (p *Process) RSS() (int64, error) {
	if p.hasEnded() {
		return 0, fmt.Errorf("RSS of %s: %w", p.name(), os.ErrProcessDone)
	}
	statm, err := p.proc("statm")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(statm) // size, resident, …: see proc_pid_statm(5)
	if len(fields) < 2 {
		return 0, fmt.Errorf("RSS of %s: its statm has no such field", p.name())
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("RSS of %s: %w", p.name(), err)
	}
	if pages == 0 { // it has just ended, and has not been waited for yet
		return 0, fmt.Errorf("RSS of %s: %w", p.name(), os.ErrProcessDone)
	}
	return pages * int64(os.Getpagesize()), nil
}

// proc reads a file in the process's folder in /proc.
func (p *Process) proc(file string) (string, error) {
	if runtime.GOOS != "linux" {
		return "", errNotLinux
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID(), file))
	if err != nil {
		return "", fmt.Errorf("measure %s: %w", p.name(), err)
	}
	return string(bytes.TrimSpace(text)), nil
}

func (p *Process) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}
