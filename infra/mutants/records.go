package main

// records breaks how families and users end: limits, erasure, the end of records.
var records []chapter
