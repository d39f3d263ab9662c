package main

// wire breaks the wire of the OAuth endpoints.
var wire []chapter
