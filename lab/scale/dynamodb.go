package main

import (
	"slices"
	"sort"
)

// What AWS documents about DynamoDB: "Burst and adaptive capacity" and "DynamoDB
// on-demand capacity mode".
const (
	partitionWrites = 1000      // write units per second
	partitionReads  = 3000      // read units per second
	doublesIn       = 30 * 60.0 // s, at most, until a table accepts twice as much
	burstSeconds    = 300       // s of a table's unused capacity that may be kept for a burst; whether beyond a partition's limit is not documented
)

// partition is a range of the hash of partition keys.
type partition struct {
	from   uint32 // up to that of the next partition
	writes bucket
	served int   // in this second
	hot    int   // how many seconds it has throttled in
	hotAt  int32 // the last of these seconds
}

// table is Rotor's table, on demand.
type table struct {
	quota      bucket // of the table
	partitions []partition
	clients    bucket // reads of the partition key "clients", in one partition unless apart is set
	splitsIn   float64
	reads      int // of clients, in this second
}

// newTable returns a table that accepts warm write units per second, and keeps the
// unused capacity of kept seconds for a burst.
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

// write uses one write unit for the family at key, and reports whether it was not
// throttled.
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

// split divides a partition in two, each of which serves as much as it did.
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
		return // it has only one key left
	}
	t.partitions = slices.Insert(t.partitions, i+1, half)
}

// read uses one read unit for a client, and reports whether it was not throttled.
func (t *table) read(now int32) bool {
	if !t.clients.take(now) {
		return false
	}
	t.reads++
	return true
}

// readAhead queries all clients, and reports whether it was not throttled.
func (t *table) readAhead(now int32) bool {
	if !t.clients.has(now) || t.clients.tokens < registry {
		return false
	}
	t.clients.tokens -= registry
	t.reads += registry
	return true
}

// second ends a second, and returns how much the hottest partition wrote in it.
func (t *table) second() (hottest int) {
	for i := range t.partitions {
		hottest = max(hottest, t.partitions[i].served)
		t.partitions[i].served = 0
	}
	t.reads = 0
	return hottest
}
