package price_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rotor-auth/rotor/lab/page"
	"github.com/rotor-auth/rotor/lab/price"
)

func TestRefreshes(t *testing.T) {
	// 0.7 ms on a whole core are 2.42 ms at 512 MB; with the wait they are 7.42, billed as 8.
	if got := price.BilledTime(0.7); got != 8 {
		t.Errorf("billed %v ms", got)
	}
	cost := price.Refreshes("RS256", 0.7, 4, 1, 1000)
	want := []price.Item{
		{What: "HTTP API requests", Count: "1,000,000", Price: "$1.00 a million", USD: 1},
		{What: "Lambda requests", Count: "1,000,000", Price: "$0.20 a million", USD: .2},
		{What: "Lambda duration, arm64", Count: "4,000 GB-s", Price: "$13.33 a million GB-s", USD: 4000 * price.Duration},
		{What: "DynamoDB write units", Count: "4,000,000", Price: "$0.625 a million", USD: 2.5},
		{What: "DynamoDB read units", Count: "1,000,000", Price: "$0.125 a million", USD: .125},
		{What: "CloudWatch logs", Count: "1.00 GB", Price: "$0.50 a GB", USD: .5},
	}
	if diff := cmp.Diff(want, cost.Items); diff != "" {
		t.Error(diff)
	}
	if got := page.Number(cost.Total(), 2); got != "4.38" {
		t.Errorf("together $%s", got)
	}
}
