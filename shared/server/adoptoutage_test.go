package server_test

import (
	"net/http"
	"testing"
	"time"
)

// TestAdoptOutage checks that a provider that loses tokens is asked about three of them, and then about
// one every 30 seconds. The others are not lost.
func TestAdoptOutage(t *testing.T) {
	m := newMoving(t, "")
	failing := says(http.StatusBadGateway, "")
	lost := func() {
		t.Helper()
		asked := m.old.requests()
		if a := m.refresh(m.old.token("alice")); !a.refused(http.StatusBadRequest) || m.old.requests() != asked+1 {
			t.Fatalf("a lost token got %v after %d requests", a, m.old.requests()-asked)
		}
	}
	m.old.does(failing, nil)
	for range 2 {
		lost()
	}
	m.old.does(nil, nil) // an answer in between
	if a := m.refresh(m.old.token("bob")); a.status != http.StatusOK {
		t.Fatal(a)
	}
	m.old.does(failing, nil)
	for range 3 {
		lost()
	}
	saved, asked := m.old.token("carol"), m.old.requests()
	for range 2 {
		if a := m.refresh(saved); !a.unavailable() {
			t.Fatalf("in the outage got %v", a)
		}
		m.clock.Advance(29 * time.Second)
		if a := m.refresh(saved); !a.unavailable() || m.old.requests() != asked {
			t.Fatalf("in the outage got %v after %d requests", a, m.old.requests()-asked)
		}
		m.clock.Advance(time.Second)
		lost() // it is tried with one
		asked++
	}
	m.clock.Advance(30 * time.Second)
	m.old.does(nil, nil)
	if a := m.refresh(saved); a.status != http.StatusOK {
		t.Fatalf("after the outage got %v", a)
	}
	m.one("carol")
}
