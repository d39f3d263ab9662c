package main

import (
	"fmt"

	"github.com/rotor-auth/rotor/lab/page"
)

func peerTable(r *Report) *page.Table {
	t := &page.Table{
		Title: "Beside another",
		Columns: []string{
			"CPUs", "at a time", "what", "refreshes/s", "to the peer's", "CPU µs, service + store", "to the peer's", "p50 / p99 ms",
		},
	}
	for i := range r.Peers {
		c := &r.Peers[i]
		peer := c.side(aPeer)
		if peer == nil {
			continue
		}
		cpus := "all"
		if c.Pinned {
			cpus = "one each"
		}
		for j := range c.Sides {
			s := &c.Sides[j]
			rate, cpu := "", ""
			if s != peer {
				rate, cpu = ratio(s, peer, Sample.rate).String(), ratio(s, peer, Sample.allCPU).String()
			}
			took := page.Number(median(s.Samples, Sample.cpu)*1000, 0)
			if of := median(s.Samples, Sample.storeCPU); of > 0 {
				took += " + " + page.Number(of*1000, 0)
			}
			t.Row(cpus, fmt.Sprint(c.Workers), peerName(s.Name, s.Store), page.Number(s.Latencies.Rate, 0), rate, took, cpu, percentiles(s.Latencies))
		}
	}
	if r.PeersLeftOut != "" {
		t.Note("Left out: %s.", r.PeersLeftOut)
	}
	if len(r.Peers) > 0 {
		t.Note("%s: ES256 on all sides, %d turns each. A ratio is that of two turns that followed each other: the median, and the middle half of them. "+
			"All stores are in memory. One each: the services have CPU 0 by turns, and the load and the store the last one.", r.measured(), len(r.Peers[0].Sides[0].Samples))
	}
	return t
}

func peerName(name, store string) string {
	if name == aPeer {
		return name + ", in memory"
	}
	return "**" + name + "**, " + store
}

func peerRaceTable(r *Report) *page.Table {
	t := &page.Table{Title: "One token at the same moment", Columns: []string{"what", "at once", "statuses", "successors", "sessions alive afterwards", "p50 / p99 ms of the successes"}}
	for _, p := range r.PeerRaces {
		t.Row(peerName(p.Name, p.Store), page.Number(float64(p.Racers), 0), statuses(p.Statuses), page.Number(float64(p.Successors), 0),
			fmt.Sprintf("%d of %d", p.Alive, p.Sessions), percentiles(p.Latencies))
	}
	if r.PeersLeftOut != "" {
		t.Note("Left out: %s.", r.PeersLeftOut)
	}
	return t
}
