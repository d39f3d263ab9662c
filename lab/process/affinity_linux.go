package process

import (
	"fmt"
	"os"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// OnCPU runs start on one CPU, to which the programs that it starts then keep.
func OnCPU(cpu int, start func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read the CPUs of a thread: %w", err)
	}
	if err := pin(0, cpu); err != nil {
		return err
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }() // which were allowed before
	return start()
}

// KeepTo keeps this program to one CPU. free lets it use those again that it had.
func KeepTo(cpu int) (free func(), err error) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, fmt.Errorf("read the CPUs of this program: %w", err)
	}
	var set unix.CPUSet
	set.Set(cpu)
	if err := all(&set); err != nil {
		return nil, err
	}
	return func() { _ = all(&before) }, nil // which were allowed before
}

// all sets the CPUs of this program's threads. Threads that it makes later have those of
// the one that makes them.
func all(set *unix.CPUSet) error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return err
		}
		if err := unix.SchedSetaffinity(id, set); err != nil {
			return fmt.Errorf("set the CPUs of a thread: %w", err)
		}
	}
	return nil
}

func pin(thread, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	if err := unix.SchedSetaffinity(thread, &set); err != nil {
		return fmt.Errorf("keep a thread to CPU %d: %w", cpu, err)
	}
	return nil
}
