package main

// unread are the folders whose comments are still to be read. It becomes shorter until it is empty.
var unread = []string{
	"shared/family",
	"shared/origin",
	"shared/store",
	"shared/store/embedded",
	"shared/store/storetest",
	"shared/sweep",
	"shared/token",
}
