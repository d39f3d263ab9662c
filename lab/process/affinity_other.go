//go:build !linux

package process

// OnCPU fails: programs keep to a CPU on Linux alone.
func OnCPU(int, func() error) error { return errNotLinux }

// KeepTo fails, as OnCPU does.
func KeepTo(int) (free func(), err error) { return nil, errNotLinux }
