package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Report is the result of a run. Times are in milliseconds, and memory and sizes in
// megabytes of 10⁶ bytes, unless the name says otherwise. What could not be measured
// is absent.
type Report struct {
	Short      bool   `json:"short"`                // a run that only shows that everything works
	Unfinished string `json:"unfinished,omitempty"` // what the run did when this was written, or why it failed

	Parts []string `json:"parts,omitempty"` // what was measured, if not all

	Machine Machine `json:"machine"`

	Storage []Storage `json:"storage"`
	Loads   []Load    `json:"loads"`
	Profile []Share   `json:"profile"`
	Floors  []Contest `json:"floors"`

	Peers        []Contest  `json:"peers"`
	PeerRaces    []PeerRace `json:"peer_races"`
	PeersLeftOut string     `json:"peers_left_out,omitempty"` // why

	Sizes Sizes   `json:"sizes"`
	Micro []Micro `json:"micro"`

	Invocations []Invocations `json:"invocations"`

	Zips          []Zip   `json:"zips"`
	Starts        []Start `json:"cold_starts,omitempty"`
	StartsLeftOut string  `json:"cold_starts_left_out,omitempty"` // why

	Aims []Aim `json:"aims"`
}

// Machine is the machine of a run.
type Machine struct {
	Began    time.Time `json:"began"`
	Revision string    `json:"revision,omitempty"` // of the working tree; with a + if that was changed
	CPU      string    `json:"cpu,omitempty"`
	CPUs     int       `json:"cpus"`
	System   string    `json:"system"`
	Go       string    `json:"go"`
	Load     string    `json:"load_average,omitempty"` // at the beginning: other programs take CPU from Rotor
}

// Storage is what one call asks of the store, as the average of several calls.
type Storage struct {
	Call     string             `json:"call"`
	Calls    int                `json:"calls"`
	Requests map[string]float64 `json:"requests"` // by operation
	Units    *Units             `json:"units,omitempty"`
}

// Units are the units that DynamoDB bills, as reported by DynamoDB Local.
type Units struct {
	Write float64 `json:"write"` // of the table
	Read  float64 `json:"read"`
	Index float64 `json:"index"`
}

// Load is the measurement of Rotor with one signature algorithm over one store.
type Load struct {
	Algorithm string    `json:"algorithm"`
	Store     string    `json:"store"`
	Alone     Latencies `json:"one_at_a_time"`
	Together  Latencies `json:"eight_at_a_time"`

	// Medians of the samples, as is the rate at eight at a time.
	CPU      float64 `json:"cpu_per_refresh"` // of the service's process, at eight at a time
	StoreCPU float64 `json:"store_cpu_per_refresh,omitempty"`
	SignCPU  float64 `json:"cpu_per_signature"` // of an access token, which is part of the service's

	Samples []Sample `json:"samples"`

	Refreshes     int64   `json:"refreshes"` // made before RSS was read
	RSS           float64 `json:"rss"`       // the service's memory after those refreshes
	RSSAfterRaces float64 `json:"rss_after_races"`

	Races []Race `json:"races"`
}

// Sample is a measurement of some seconds at eight refreshes at a time.
type Sample struct {
	Rate     float64 `json:"per_second"`
	CPU      float64 `json:"cpu_per_refresh"`
	StoreCPU float64 `json:"store_cpu_per_refresh,omitempty"`
	SignCPU  float64 `json:"cpu_per_signature"` // measured shortly before
}

func (s Sample) rate() float64     { return s.Rate }
func (s Sample) cpu() float64      { return s.CPU }
func (s Sample) storeCPU() float64 { return s.StoreCPU }
func (s Sample) signCPU() float64  { return s.SignCPU }

// sorted returns the samples' values, the smallest first.
func sorted(samples []Sample, of func(Sample) float64) []float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values
}

// median returns the median of the samples, or 0 if there are none.
func median(samples []Sample, of func(Sample) float64) float64 {
	values := sorted(samples, of)
	if len(values) == 0 {
		return 0
	}
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// extremes returns the smallest and the largest value of the samples, or 0 if there
// are none.
func extremes(samples []Sample, of func(Sample) float64) (least, most float64) {
	values := sorted(samples, of)
	if len(values) == 0 {
		return 0, 0
	}
	return values[0], values[len(values)-1]
}

// Race is many refreshes at the same moment, with one token for all or a token each.
type Race struct {
	Racers     int           `json:"racers"`
	Tokens     int           `json:"tokens"`
	Rounds     int           `json:"rounds"`
	Statuses   map[int]int64 `json:"statuses"`   // of all rounds
	Successors int           `json:"successors"` // how many different ones in a round, at most
	Latencies  Latencies     `json:"latencies"`
}

// Latencies are the latencies of the refreshes, all of which succeeded.
type Latencies struct {
	Requests int64   `json:"requests"`
	Rate     float64 `json:"per_second"`
	P50      float64 `json:"p50"`
	P99      float64 `json:"p99"`
	Max      float64 `json:"max"`
}

// Share is a part of the CPU time of a refresh with ES256 over a store in a separate
// process, at eight at a time. Shares add up to 1.
type Share struct {
	What       string  `json:"what"`
	Share      float64 `json:"share"`
	Kernel     float64 `json:"system_calls"` // the fraction of it in system calls
	Allocation float64 `json:"allocation"`   // the fraction of it in allocation
	CPU        float64 `json:"cpu"`          // ms
}

// Invocations are refreshes by the warm function token, one at a time.
type Invocations struct {
	Algorithm string  `json:"algorithm"`
	Count     int     `json:"count"`
	CPU       float64 `json:"cpu"` // of the program, per refresh
	RSS       float64 `json:"rss"` // after them
}

// Sizes are sizes in bytes.
type Sizes struct {
	Family        int `json:"family_item"` // a typical family that was refreshed often
	LongestFamily int `json:"longest_family_item"`
	LogLine       int `json:"log_line"` // of a refresh, as CloudWatch gets it
	AccessLogLine int `json:"access_log_line"`
}

// Micro is a micro-benchmark's result.
type Micro struct {
	Name        string  `json:"name"`
	Nanoseconds float64 `json:"ns"`
	Bytes       float64 `json:"bytes"`
	Allocations float64 `json:"allocations"`
}

// Zip is the size of a function's zip.
type Zip struct {
	Function string  `json:"function"`
	Size     float64 `json:"size"`
}

// Start has the medians of a function's cold starts.
type Start struct {
	Function string  `json:"function"`
	Asked    string  `json:"asked_for"`
	Ready    float64 `json:"ready"`        // from the start of the program until it asks for an invocation
	Answered float64 `json:"first_answer"` // until it has answered the invocation
	Memory   float64 `json:"memory"`       // the peak of resident memory by then
	Emulated float64 `json:"first_answer_under_emulator"`
	Second   float64 `json:"second_answer_under_emulator"`
}

// write writes a report to path, all of it or nothing, and creates its folder.
func write(path string, report any) error {
	text, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // not secret: counts and times
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil { //nolint:gosec // not secret: counts and times
		return err
	}
	return os.Rename(path+".new", path)
}

// read reads a report. It returns nil if there is none.
func read[R any](path string) (*R, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := new(R)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

// load returns the load with the given algorithm over the given store, or nil.
func (r *Report) load(algorithm, store string) *Load {
	for i := range r.Loads {
		if l := &r.Loads[i]; l.Algorithm == algorithm && l.Store == store {
			return l
		}
	}
	return nil
}

// storage returns the storage of the named call, or nil.
func (r *Report) storage(call string) *Storage {
	for i := range r.Storage {
		if s := &r.Storage[i]; s.Call == call {
			return s
		}
	}
	return nil
}

// micro returns the named micro-benchmark, or nil.
func (r *Report) micro(name string) *Micro {
	for i := range r.Micro {
		if m := &r.Micro[i]; m.Name == name {
			return m
		}
	}
	return nil
}

// invocation returns the invocations with the given algorithm, or nil.
func (r *Report) invocation(algorithm string) *Invocations {
	for i := range r.Invocations {
		if n := &r.Invocations[i]; n.Algorithm == algorithm {
			return n
		}
	}
	return nil
}

// race returns the race with the given numbers of racers and tokens, or nil.
func (l *Load) race(racers, tokens int) *Race {
	for i := range l.Races {
		if r := &l.Races[i]; r.Racers == racers && r.Tokens == tokens {
			return r
		}
	}
	return nil
}
