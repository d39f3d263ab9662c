package main

// diagnosis breaks what explain says.
var diagnosis []chapter
