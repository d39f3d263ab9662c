package process

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
)

// allowed returns the CPUs of a process, as the kernel writes them.
func allowed(t *testing.T, process string) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + process + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), "Cpus_allowed_list:")
	line, _, _ := strings.Cut(after, "\n")
	if !found {
		t.Fatal("the kernel does not say which CPUs are allowed")
	}
	return strings.TrimSpace(line)
}

// TestOnCPU checks that a program which is started on a CPU keeps to it, and that neither its starter nor programs
// that are started later do.
func TestOnCPU(t *testing.T) {
	if runtime.GOOS != "linux" {
		if err := OnCPU(0, func() error { return nil }); !errors.Is(err, errNotLinux) {
			t.Error(err)
		}
		return
	}
	before := allowed(t, "thread-self")
	var p *Process
	err := OnCPU(0, func() error {
		p = start(t, "stubborn", "up")
		return os.ErrExist
	})
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("the error of what was started is %v", err)
	}
	if got := allowed(t, fmt.Sprint(p.PID())); got != "0" {
		t.Errorf("the program has the CPUs %s", got)
	}
	if got := allowed(t, "thread-self"); got != before {
		t.Errorf("this thread has the CPUs %s, and had %s", got, before)
	}
	if got := allowed(t, fmt.Sprint(start(t, "stubborn", "up").PID())); got != before {
		t.Errorf("a program that is started later has the CPUs %s", got)
	}
	if err := OnCPU(1<<20, func() error { t.Error("started"); return nil }); err == nil {
		t.Error("there is a CPU 1,048,576")
	}
}

// TestKeepTo checks that all threads of this program keep to a CPU until it is freed.
func TestKeepTo(t *testing.T) {
	if runtime.GOOS != "linux" {
		if _, err := KeepTo(0); !errors.Is(err, errNotLinux) {
			t.Error(err)
		}
		return
	}
	threads := func(want string) {
		t.Helper()
		all, err := os.ReadDir("/proc/self/task")
		if err != nil || len(all) < 2 {
			t.Fatalf("%d threads: %v", len(all), err)
		}
		for _, thread := range all {
			if got := allowed(t, "self/task/"+thread.Name()); got != want {
				t.Errorf("thread %s has the CPUs %s, not %s", thread.Name(), got, want)
			}
		}
	}
	before := allowed(t, "self")
	free, err := KeepTo(0)
	if err != nil {
		t.Fatal(err)
	}
	threads("0")
	free()
	threads(before)
}
