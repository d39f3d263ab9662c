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
)

// tick is the unit of CPU time that the kernel reports to programs (USER_HZ). It is
// the same on every architecture that Go supports on Linux.
const tick = 10 * time.Millisecond

// errNotLinux is returned where there is no /proc as on Linux.
var errNotLinux = errors.New("running processes are measured on Linux alone")

// CPU returns the program's CPU time, in user and system mode, to 10 ms. For a
// running program it works only on Linux.
func (p *Process) CPU() (time.Duration, error) {
	if p.hasEnded() {
		return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime(), nil
	}
	stat, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	// See proc_pid_stat(5). The name, in parentheses, may have anything in it.
	const utime, stime = 14 - 3, 15 - 3 // of the fields after it, the first of which is the 3rd
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= stime {
		return 0, fmt.Errorf("CPU of %s: its stat has no such fields", p.name())
	}
	user, err1 := strconv.ParseInt(fields[utime], 10, 64)
	system, err2 := strconv.ParseInt(fields[stime], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("CPU of %s: %w", p.name(), err)
	}
	return time.Duration(user+system) * tick, nil
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
