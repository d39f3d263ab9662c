//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package tokensource

import (
	"errors"
	"os"
	"syscall"
)

// tryLock locks the file unless it is locked through another open file. The lock
// ends when the file is closed, also by the death of the process.
func tryLock(file *os.File) (bool, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return false, err
	}
	var locking error
	err = conn.Control(func(fd uintptr) {
		locking = syscall.Flock(int(fd), syscall.LOCK_EX|syscall.LOCK_NB)
	})
	if errors.Is(locking, syscall.EWOULDBLOCK) || errors.Is(locking, syscall.EINTR) {
		return false, err
	}
	return err == nil && locking == nil, errors.Join(err, locking)
}
