package main

// trail breaks the audit trail, its metrics, and who may call the management API.
var trail []chapter
