package main

// manage breaks how families are started and changed through the management API.
var manage []chapter
