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

// machine is what this runs on. What the system does not tell stays empty.
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
		return "" // no git, or no repository: a copy
	}
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain").Output()
	if err != nil || len(bytes.TrimSpace(changed)) > 0 {
		return strings.TrimSpace(string(commit)) + "+"
	}
	return strings.TrimSpace(string(commit))
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // Linux alone has it
	_, after, _ := strings.Cut(string(text), "model name")
	line, _, _ := strings.Cut(after, "\n")
	return strings.TrimLeft(line, "\t :")
}

// loadAverage is how many were running or waiting to, over 1, 5 and 15 minutes.
func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg") // Linux alone has it
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return ""
	}
	return strings.Join(fields[:3], " ")
}
