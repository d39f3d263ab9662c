package main

import "math"

// List prices in US dollars: us-east-1, on demand, without free tiers. DynamoDB's
// are those since 1 November 2024; the others have been the same for longer.
const (
	pricesOf = "us-east-1, on demand, list prices since 1 November 2024, without free tiers"

	writePrice    = 0.625        // DynamoDB, a million write request units
	readPrice     = 0.125        // a million read request units
	gatewayPrice  = 1.00         // HTTP API, a million requests
	requestPrice  = 0.20         // Lambda, a million requests
	durationPrice = 0.0000133334 // Lambda, a GB-second on arm64
	logPrice      = 0.50         // CloudWatch, a GB ingested
)

// What is not measured.
const (
	// tokenMemory is what infra/functions.go gives the function token, in MB.
	tokenMemory = 512
	// fullCPU is the memory at which Lambda gives one whole vCPU, in MB: "Configure
	// Lambda function memory" in its developer guide. The share grows with the memory.
	fullCPU = 1769
	// assumedWait is how long a refresh waits for DynamoDB, in ms. It is an
	// assumption: DynamoDB says "single-digit milliseconds".
	assumedWait = 5.0
)

// Cost is what a million refreshes cost under one signature.
type Cost struct {
	Algorithm string     `json:"algorithm"`
	Duration  float64    `json:"billed_duration"` // of Lambda, in ms
	Items     []CostItem `json:"items"`
}

// CostItem is a part of a cost.
type CostItem struct {
	What  string  `json:"what"`
	Count string  `json:"count"`
	Price string  `json:"price"`
	USD   float64 `json:"usd"`
}

func (c Cost) total() float64 {
	sum := 0.0
	for _, item := range c.Items {
		sum += item.USD
	}
	return sum
}

// costs are computed from what was measured, for each signature; none without the
// units of a refresh, which DynamoDB Local alone reports.
func costs(r *Report) []Cost {
	refresh := r.storage(oneRefresh)
	if refresh == nil || refresh.Units == nil {
		return nil
	}
	var all []Cost
	for _, alg := range []string{"RS256", "ES256"} {
		i := r.invocation(alg)
		if i == nil {
			continue
		}
		all = append(all, costOf(alg, i.CPU, *refresh.Units, r.Sizes))
	}
	return all
}

// costOf is the cost of a million refreshes that take so much CPU time on a whole
// core, in ms, and so many units.
func costOf(alg string, cpu float64, u Units, s Sizes) Cost {
	duration := billed(cpu)
	gigabyteSeconds := tokenMemory / 1024.0 * duration * 1e6 / 1000
	logs := float64(s.LogLine+s.AccessLogLine) * 1e6 / 1e9
	write, read := u.Write+u.Index, u.Read
	return Cost{Algorithm: alg, Duration: duration, Items: []CostItem{
		{"HTTP API requests", "1,000,000", "$1.00 a million", gatewayPrice},
		{"Lambda requests", "1,000,000", "$0.20 a million", requestPrice},
		{"Lambda duration, arm64", number(gigabyteSeconds, 0) + " GB-s", "$13.33 a million GB-s", gigabyteSeconds * durationPrice},
		{"DynamoDB write units", number(write*1e6, 0), "$0.625 a million", write * writePrice},
		{"DynamoDB read units", number(read*1e6, 0), "$0.125 a million", read * readPrice},
		{"CloudWatch logs", number(logs, 2) + " GB", "$0.50 a GB", logs * logPrice},
	}}
}

// billed is the duration of an invocation that takes so much CPU time on a whole
// core, in ms: at the share that it has, with the wait, and rounded up to 1 ms.
func billed(cpu float64) float64 {
	return math.Ceil(cpu*fullCPU/tokenMemory + assumedWait)
}
