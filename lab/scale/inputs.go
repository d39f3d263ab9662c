package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rotor-auth/rotor/lab/price"
)

// keptInputs is a report of lab/bench in the repository, for use without measuring.
const keptInputs = "lab/scale/bench.json"

// lambdaStarts is what Lambda adds to a cold start, in ms, for fetching the zip,
// creating the environment, and TLS. It is an assumption, since nothing here can
// measure it.
const lambdaStarts = 200

// inputs are the values from a report of lab/bench. Times are in ms.
type inputs struct {
	path     string
	began    time.Time
	revision string
	machine  string
	short    bool

	cpu      map[string]float64 // of a refresh, on a whole core, by signature algorithm
	writes   float64            // write units of a refresh, including the index's
	reads    float64
	logs     int     // bytes of a refresh's log lines, the gateway's and the function's
	family   int     // bytes of an item
	start    float64 // of the function token, to its first answer
	sweeping float64 // requests to sweep one owner
}

// readInputs reads the report at path. It fails if a value is missing.
func readInputs(path string) (*inputs, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var report struct {
		Short   bool
		Machine struct {
			Began    time.Time
			Revision string
			CPU      string
			CPUs     int
			System   string
		}
		Storage []struct {
			Call     string
			Requests map[string]float64
			Units    *struct{ Write, Read, Index float64 }
		}
		Invocations []struct {
			Algorithm string
			CPU       float64
		}
		Sizes struct {
			Family    int `json:"family_item"`
			Log       int `json:"log_line"`
			AccessLog int `json:"access_log_line"`
		}
		Starts []struct {
			Function string
			Answered float64 `json:"first_answer"`
		} `json:"cold_starts"`
	}
	if err := json.Unmarshal(text, &report); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	m := report.Machine
	in := &inputs{
		path: path, began: m.Began, revision: m.Revision, short: report.Short,
		machine: fmt.Sprintf("%d CPUs, %s, %s", m.CPUs, m.CPU, m.System),
		cpu:     map[string]float64{}, logs: report.Sizes.Log + report.Sizes.AccessLog, family: report.Sizes.Family,
	}
	for _, i := range report.Invocations {
		in.cpu[i.Algorithm] = i.CPU
	}
	for _, s := range report.Storage {
		switch {
		case s.Call == "refresh" && s.Units != nil:
			in.writes, in.reads = s.Units.Write+s.Units.Index, s.Units.Read
		case s.Call == "sweep of an owner, 10 over the limit":
			for _, n := range s.Requests {
				in.sweeping += n
			}
		}
	}
	for _, s := range report.Starts {
		if s.Function == "token" {
			in.start = s.Answered
		}
	}
	var errs []error
	for what, n := range map[string]float64{
		"CPU of an invocation with RS256": in.cpu["RS256"], "CPU of an invocation with ES256": in.cpu["ES256"], "write units of a refresh": in.writes,
		"log bytes of a refresh": float64(in.logs), "size of a family": float64(in.family),
		"cold start of token": in.start, "requests of a sweep": in.sweeping,
	} {
		if n <= 0 {
			errs = append(errs, fmt.Errorf("%s does not have the %s: measure it with Java, Maven and pip at hand", path, what))
		}
	}
	return in, errors.Join(errs...)
}

// warmTime returns how long a warm invocation takes with the slower signature.
func (in *inputs) warmTime() float64 { return price.InvocationTime(in.cpu["RS256"]) }

// coldTime returns what a cold start adds: its CPU time at the function's share of a
// core, and what Lambda adds.
func (in *inputs) coldTime() float64 { return price.ElapsedTime(in.start) + lambdaStarts }
