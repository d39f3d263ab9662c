//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package tokensource

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// tryLock fails: without a lock that crosses processes a file keeps no promise.
func tryLock(*os.File) (bool, error) {
	return false, fmt.Errorf("no flock on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
