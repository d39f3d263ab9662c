//go:build race

package storetest

const underRace = true
