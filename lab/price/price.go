// Package price has the prices of AWS, and computes what a refresh costs.
package price

import (
	"math"

	"github.com/rotor-auth/rotor/lab/page"
)

// List prices in US dollars: us-east-1, on demand, without free tiers or volume
// discounts. DynamoDB's apply since 1 November 2024, the others for longer.
const (
	Basis = "us-east-1, on demand, list prices since 1 November 2024, without free tiers"

	Write    = 0.625        // DynamoDB, a million write request units
	Read     = 0.125        // a million read request units
	Gateway  = 1.00         // HTTP API, a million requests
	Request  = 0.20         // Lambda, a million requests
	Duration = 0.0000133334 // Lambda, a GB-second on arm64
	Log      = 0.50         // CloudWatch, a GB ingested

	Provisioned = 0.0000033334 // Lambda, a GB-second of provisioned concurrency on arm64, used or not
	SecretReads = 0.05         // Secrets Manager, 10,000 requests
)

// Quantities that are not measured.
const (
	// Memory is the memory of the function token in infra/functions.go, in MB.
	Memory = 512
	// FullCPU is the memory with which Lambda gives one whole vCPU, in MB
	// ("Configure Lambda function memory" in its developer guide). The share grows
	// with the memory.
	FullCPU = 1769
	// Wait is how long a refresh waits for DynamoDB, in ms. It is an assumption: AWS
	// says "single-digit milliseconds".
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

// Total returns the cost in US dollars.
func (c Cost) Total() float64 {
	sum := 0.0
	for _, item := range c.Items {
		sum += item.USD
	}
	return sum
}

// Refreshes returns the cost of a million refreshes. For each, cpu is the CPU time
// on a whole core in ms, write and read are DynamoDB units, and log is bytes of log.
func Refreshes(algorithm string, cpu, write, read float64, log int) Cost {
	w := Way{Algorithm: algorithm, CPU: cpu, Write: write, Read: read, AuditLine: log}
	c := w.Cost()
	c.Items = c.Items[:len(c.Items)-1]
	c.Items[len(c.Items)-1].What = "CloudWatch logs"
	return c
}

func usd(n float64, decimals int) string { return "$" + page.Number(n, decimals) }

// InvocationTime returns how long an invocation with the given CPU time on a whole
// core takes, in ms: its [ElapsedTime] and the wait for DynamoDB.
func InvocationTime(cpu float64) float64 { return ElapsedTime(cpu) + Wait }

// ElapsedTime returns how long work with the given CPU time on a whole core takes
// with the function's share of a core.
func ElapsedTime(cpu float64) float64 { return cpu * FullCPU / Memory }

// BilledTime returns the duration that is billed for an invocation, which is rounded
// up to 1 ms.
func BilledTime(cpu float64) float64 { return math.Ceil(InvocationTime(cpu)) }
