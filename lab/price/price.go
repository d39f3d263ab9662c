// Package price is what AWS asks for, and what a refresh costs by it.
package price

import (
	"math"

	"github.com/rotor-auth/rotor/lab/page"
)

// List prices in US dollars: us-east-1, on demand, without free tiers and without
// the discounts for volume. DynamoDB's are those since 1 November 2024; the others
// have been the same for longer.
const (
	Of = "us-east-1, on demand, list prices since 1 November 2024, without free tiers"

	Write    = 0.625        // DynamoDB, a million write request units
	Read     = 0.125        // a million read request units
	Gateway  = 1.00         // HTTP API, a million requests
	Request  = 0.20         // Lambda, a million requests
	Duration = 0.0000133334 // Lambda, a GB-second on arm64
	Log      = 0.50         // CloudWatch, a GB ingested

	Provisioned = 0.0000033334 // Lambda, a GB-second of provisioned concurrency on arm64, used or not
	SecretReads = 0.05         // Secrets Manager, 10,000 requests
)

// What is not measured.
const (
	// Memory is what infra/functions.go gives the function token, in MB.
	Memory = 512
	// FullCPU is the memory at which Lambda gives one whole vCPU, in MB: "Configure
	// Lambda function memory" in its developer guide. The share grows with the memory.
	FullCPU = 1769
	// Wait is how long a refresh waits for DynamoDB, in ms. It is an assumption:
	// DynamoDB says "single-digit milliseconds".
	Wait = 5.0
)

// Cost is what a million refreshes cost under one signature.
type Cost struct {
	Algorithm string  `json:"algorithm"`
	Duration  float64 `json:"billed_duration"` // of Lambda, in ms
	Items     []Item  `json:"items"`
}

// Item is a part of a cost.
type Item struct {
	What  string  `json:"what"`
	Count string  `json:"count"`
	Price string  `json:"price"`
	USD   float64 `json:"usd"`
}

// Total is the cost in US dollars.
func (c Cost) Total() float64 {
	sum := 0.0
	for _, item := range c.Items {
		sum += item.USD
	}
	return sum
}

// Refreshes is the cost of a million refreshes, each of which takes so much CPU time
// on a whole core, in ms, so many of DynamoDB's units, and writes so many bytes of
// log.
func Refreshes(algorithm string, cpu, write, read float64, log int) Cost {
	duration := Billed(cpu)
	gigabyteSeconds := Memory / 1024.0 * duration * 1e6 / 1000
	logs := float64(log) * 1e6 / 1e9
	return Cost{Algorithm: algorithm, Duration: duration, Items: []Item{
		{"HTTP API requests", "1,000,000", "$1.00 a million", Gateway},
		{"Lambda requests", "1,000,000", "$0.20 a million", Request},
		{"Lambda duration, arm64", page.Number(gigabyteSeconds, 0) + " GB-s", "$13.33 a million GB-s", gigabyteSeconds * Duration},
		{"DynamoDB write units", page.Number(write*1e6, 0), "$0.625 a million", write * Write},
		{"DynamoDB read units", page.Number(read*1e6, 0), "$0.125 a million", read * Read},
		{"CloudWatch logs", page.Number(logs, 2) + " GB", "$0.50 a GB", logs * Log},
	}}
}

// Takes is how long an invocation lasts that takes so much CPU time on a whole core,
// in ms: at the share of one that it has, and with the wait.
func Takes(cpu float64) float64 { return Share(cpu) + Wait }

// Share is how long so much CPU time on a whole core takes with the share of one
// that the function has.
func Share(cpu float64) float64 { return cpu * FullCPU / Memory }

// Billed is the duration that is billed for it: rounded up to 1 ms.
func Billed(cpu float64) float64 { return math.Ceil(Takes(cpu)) }
