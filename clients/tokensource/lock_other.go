//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package tokensource

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// tryLock returns an error: a [File] needs a lock that works across processes.
func tryLock(*os.File) (bool, error) {
	return false, fmt.Errorf("no flock on %s: %w", runtime.GOOS, errors.ErrUnsupported)
}
