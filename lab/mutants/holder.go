package main

// holder breaks the holder's half: tokensource.
var holder []chapter
