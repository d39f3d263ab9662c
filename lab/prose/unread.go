package main

// unread are the folders whose comments are still to be read. It becomes shorter until it is empty.
var unread = []string{
	"shared/family",
	"shared/store",
	"shared/store/storetest",
	"shared/token",
}
