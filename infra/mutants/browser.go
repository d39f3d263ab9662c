package main

// browser breaks what a page on another origin can do, and how a client says who it is.
var browser []chapter
