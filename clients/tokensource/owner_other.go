//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package tokensource

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
)

const openFlags = 0

// owner returns an error: on a system where files have no owner, others may be able
// to read them.
func owner(fs.FileInfo) (uid int, links uint64, err error) {
	return 0, 0, fmt.Errorf("no token files on %s, where files have no owner as on Unix: %w", runtime.GOOS, errors.ErrUnsupported)
}
