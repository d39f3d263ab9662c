package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// machine describes the machine. What the system does not tell stays empty.
func machine(ctx context.Context) Machine {
	return Machine{
		Began: time.Now().UTC().Truncate(time.Second), Revision: revision(ctx),
		CPU: cpuModel(), CPUs: runtime.NumCPU(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
		Load: loadAverage(),
	}
}

func revision(ctx context.Context) string {
	commit, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return "" // there is no git, or this is a copy and no repository
	}
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	if err != nil || len(bytes.TrimSpace(changed)) > 0 {
		return strings.TrimSpace(string(commit)) + "+"
	}
	return strings.TrimSpace(string(commit))
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // only on Linux
	_, after, _ := strings.Cut(string(text), "model name")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimLeft(line, "\t :")
}

// loadAverage returns the load average over 1, 5 and 15 minutes.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg") // only on Linux
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return ""
	}
	return strings.Join(fields[:3], " ")
}
