package main

// keys breaks the keys: what each verifies, and how a leaked one is replaced.
var keys []chapter
