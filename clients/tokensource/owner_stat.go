//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package tokensource

import (
	"fmt"
	"io/fs"
	"syscall"
)

// openFlags keep open from waiting for the other end of a pipe or for a device.
const openFlags = syscall.O_NONBLOCK

// owner returns the user that a file belongs to, and how many names it has.
func owner(info fs.FileInfo) (uid int, links uint64, err error) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, fmt.Errorf("%s has no owner", info.Name())
	}
	return int(st.Uid), uint64(st.Nlink), nil //nolint:unconvert // its type is another one on each system
}
