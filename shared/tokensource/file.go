package tokensource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// maxFile is far more than any record needs.
const maxFile = 1 << 20

// File is a [Store] in a file, for the processes of one machine.
//
// The file holds the tokens in the clear: its version in the first line, and then
// the data. It is made with mode 0600, and refused where others than its owner can
// read it. A save takes a lock that crosses processes (flock on the file's name
// with ".lock" after it, which stays), writes a new file, syncs it, renames it to
// its place and syncs the folder: a process that dies at any moment, or a machine
// that loses power, leaves the old record or the new one. The folder must exist,
// be its owner's alone to write to, and lie on a local file system. Reading takes
// no lock.
type File struct{ path string }

// NewFile is the store in the file at path, which need not exist.
func NewFile(path string) *File { return &File{path} }

// Load is [Store.Load].
func (f *File) Load(context.Context) (Record, error) {
	r, err := f.read()
	if err != nil {
		return Record{}, fmt.Errorf("read the token file: %w", err)
	}
	return r, nil
}

// Save is [Store.Save].
func (f *File) Save(ctx context.Context, r Record) error {
	if err := f.save(ctx, r); err != nil {
		return fmt.Errorf("write the token file: %w", err)
	}
	return nil
}

func (f *File) read() (Record, error) {
	file, err := os.Open(f.path)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return Record{}, err
	}
	if !info.Mode().IsRegular() {
		return Record{}, fmt.Errorf("%s is not a regular file", f.path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return Record{}, fmt.Errorf("%s is open to others than its owner (mode %04o): chmod 600 it", f.path, mode)
	}
	b, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return Record{}, err
	}
	if len(b) > maxFile {
		return Record{}, fmt.Errorf("%s is larger than %d bytes", f.path, maxFile)
	}
	line, data, _ := bytes.Cut(b, []byte("\n"))
	version, err := strconv.ParseUint(string(line), 10, 64)
	if err != nil || version == 0 {
		return Record{}, fmt.Errorf("%s does not begin with the version of a token record", f.path)
	}
	return Record{version, data}, nil
}

func (f *File) save(ctx context.Context, r Record) (err error) {
	lock, err := f.lock(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // closing unlocks
	stored, err := f.read()
	if err != nil {
		return err
	}
	if stored.Version+1 != r.Version {
		return ErrConflict
	}
	// One name is enough under the lock, and what a dead process left is removed.
	temporary := f.path + ".new"
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(temporary, append(fmt.Appendln(nil, r.Version), r.Data...)); err != nil {
		return err
	}
	if err := os.Rename(temporary, f.path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(f.path))
}

// writeNew writes a file that only its owner can read, and returns once the data
// is on the disk.
func writeNew(path string, data []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncFolder puts the names in a folder on the disk.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// lock takes the lock of the file. Others hold it for as long as a save takes.
func (f *File) lock(ctx context.Context) (*os.File, error) {
	file, err := os.OpenFile(f.path+".lock", os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		locked, err := tryLock(file)
		if err == nil && locked {
			return file, nil
		}
		if err == nil {
			select {
			case <-ctx.Done():
				err = context.Cause(ctx)
			case <-time.After(2 * time.Millisecond):
				continue
			}
		}
		return nil, errors.Join(fmt.Errorf("lock %s: %w", file.Name(), err), file.Close())
	}
}
