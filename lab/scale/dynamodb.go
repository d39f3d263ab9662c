package main

import (
	"slices"
	"sort"
)

// What AWS documents of DynamoDB: "Burst and adaptive capacity", "DynamoDB on-demand
// capacity mode".
const (
	partitionWrites = 1000      // write units a second
	partitionReads  = 3000      // read units a second
	doublesIn       = 30 * 60.0 // s until a table takes twice what it took: at the latest
	burstSeconds    = 300       // s of unused capacity that may be kept for a burst: of a table's; whether beyond a partition's limit it does not say
)

// partition is a range of the hash of partition keys.
type partition struct {
	from   uint32 // to where the next begins
	writes bucket
	served int   // in this second
	hot    int   // seconds in which it refused
	hotAt  int32 // the last of these
}

// table is Rotor's table, on demand.
type table struct {
	quota      bucket // of the table
	partitions []partition
	clients    bucket // reads of the partition key "clients", taken to be in one partition, or apart
	splitsIn   float64
	reads      int // of clients, in this second
}

// newTable takes so many write units a second, however long that has been so, and
// keeps the unused capacity of so many seconds for a burst.
func newTable(warm, quota, kept, splitsIn float64, apart bool) *table {
	reads := float64(partitionReads)
	if apart {
		reads *= registered
	}
	t := &table{quota: newBucket(quota, quota), clients: newBucket(reads, reads), splitsIn: splitsIn}
	n := max(1, int(warm+partitionWrites-1)/partitionWrites)
	for i := range n {
		t.partitions = append(t.partitions, partition{
			from: uint32(uint64(i) << 32 / uint64(n)), writes: newBucket(partitionWrites, partitionWrites*max(1, kept)), //nolint:gosec // i < n
		})
	}
	return t
}

// write is one write unit for the family at key, or a throttle.
func (t *table) write(key uint32, now int32) bool {
	i := sort.Search(len(t.partitions), func(i int) bool { return t.partitions[i].from > key }) - 1
	p := &t.partitions[i]
	if !p.writes.has(now) {
		if second := now / 1000; p.hot == 0 || second != p.hotAt {
			p.hot, p.hotAt = p.hot+1, second
		}
		if float64(p.hot) >= t.splitsIn {
			t.split(i)
		}
		return false
	}
	if !t.quota.take(now) {
		return false
	}
	p.writes.tokens--
	p.served++
	return true
}

// split makes two of a partition, each of which serves as much as it did.
func (t *table) split(i int) {
	to := uint64(1) << 32
	if i+1 < len(t.partitions) {
		to = uint64(t.partitions[i+1].from)
	}
	p := &t.partitions[i]
	p.hot = 0
	half := *p
	half.served = 0
	half.from = uint32((uint64(p.from) + to) / 2) //nolint:gosec // less than 1 << 32
	if half.from == p.from {
		return // one key: nothing is left to split
	}
	t.partitions = slices.Insert(t.partitions, i+1, half)
}

// read is one read unit for a client, or a throttle.
func (t *table) read(now int32) bool {
	if !t.clients.take(now) {
		return false
	}
	t.reads++
	return true
}

// readAhead is the query of all clients, or a throttle.
func (t *table) readAhead(now int32) bool {
	if !t.clients.has(now) || t.clients.tokens < registry {
		return false
	}
	t.clients.tokens -= registry
	t.reads += registry
	return true
}

// second ends one, and returns how much the hottest partition wrote in it.
func (t *table) second() (hottest int) {
	for i := range t.partitions {
		hottest = max(hottest, t.partitions[i].served)
		t.partitions[i].served = 0
	}
	t.reads = 0
	return hottest
}
