//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package tokensource

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
)

const openFlags = 0

// owner returns an error: where a file does not say whose it is, nothing says that
// others cannot read it.
func owner(fs.FileInfo) (uid int, links uint64, err error) {
	return 0, 0, fmt.Errorf("no token files on %s, where files have no owner as on Unix: %w", runtime.GOOS, errors.ErrUnsupported)
}
