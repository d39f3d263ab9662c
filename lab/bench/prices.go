package main

import "github.com/rotor-auth/rotor/lab/price"

// costs computes the costs under each signature from what was measured. It returns
// none without the units of a refresh, which only DynamoDB Local reports.
func costs(r *Report) []price.Cost {
	refresh := r.storage(oneRefresh)
	if refresh == nil || refresh.Units == nil {
		return nil
	}
	u := refresh.Units
	var all []price.Cost
	for _, alg := range []string{"RS256", "ES256"} {
		if i := r.invocation(alg); i != nil {
			all = append(all, price.Refreshes(alg, i.CPU, u.Write+u.Index, u.Read, r.Sizes.LogLine+r.Sizes.AccessLogLine))
		}
	}
	return all
}
