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
	"sync"
	"time"
)

// maxFile is the size limit of a file, which is far more than any record needs.
const maxFile = 1 << 20

// File is a [Store] in a file, for the processes of one machine, on Unix.
//
// The file holds the tokens in the clear: the version of the record in the first
// line, and then the data. It is created with mode 0600. A save takes a lock that
// works across processes (flock on the file's name with ".lock" appended, which
// stays). It writes a new file (the name with ".new"), syncs it, renames it to its
// place and syncs the folder. If the process dies at any point, or the machine loses
// power, the file has the old record or the new one. Reading takes no lock. The
// folder must exist and be on a local file system.
//
// A File refuses a place where others could read or replace the token, with an error
// that says what to do:
//
//   - The folder belongs to this user or to root, and nobody else may write to it.
//     A sticky folder such as /tmp is refused too, because anybody can take the
//     names of the file and its lock there first.
//   - The file and its lock are regular files of this user, with mode 0600 or less.
//     Anything else of that name (a symbolic link, a pipe, a device) is neither
//     followed, opened nor removed.
//   - The file has one name. A save replaces the file and not its content, so a hard
//     or symbolic link would continue to lead to the old token.
//
// The path of the folder may contain symbolic links. They are followed once, when
// the File is first used, and not again.
type File struct {
	path  string
	owner func(fs.FileInfo) (uid int, links uint64, err error) // of a file; tests replace it

	mu     sync.Mutex
	folder string // the resolved path of the folder, once known
}

// NewFile returns a store in the file at path, which need not exist.
func NewFile(path string) *File {
	if absolute, err := filepath.Abs(path); err == nil { // otherwise the first use fails
		path = absolute
	}
	return &File{path: path, owner: owner}
}

// Load implements [Store].
func (f *File) Load(context.Context) (Record, error) {
	r, err := f.load()
	if err != nil {
		return Record{}, fmt.Errorf("read the token file: %w", err)
	}
	return r, nil
}

// Save implements [Store].
func (f *File) Save(ctx context.Context, r Record) error {
	if err := f.save(ctx, r); err != nil {
		return fmt.Errorf("write the token file: %w", err)
	}
	return nil
}

func (f *File) load() (Record, error) {
	folder, err := f.enter()
	if err != nil {
		return Record{}, err
	}
	defer func() { _ = folder.Close() }() // nothing was written
	return f.read(folder)
}

// read returns the record in the file, or the zero Record if there is no file.
func (f *File) read(folder *os.Root) (Record, error) {
	file, err := f.open(folder, filepath.Base(f.path), os.O_RDONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, err
	}
	defer func() { _ = file.Close() }() // nothing was written
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
	folder, err := f.enter()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	lock, err := f.lock(ctx, folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }() // closing unlocks
	stored, err := f.read(folder)
	if err != nil {
		return err
	}
	if stored.Version+1 != r.Version {
		return ErrConflict
	}
	// Under the lock one name is enough. What a dead process has left there is
	// removed.
	name := filepath.Base(f.path)
	temporary := name + ".new"
	switch left, err := folder.Lstat(temporary); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	default:
		if err := f.regular(temporary, left); err != nil {
			return err
		}
		if err := folder.Remove(temporary); err != nil {
			return err
		}
	}
	if err := writeNew(folder, temporary, append(fmt.Appendln(nil, r.Version), r.Data...)); err != nil {
		return err
	}
	if err := folder.Rename(temporary, name); err != nil {
		return err
	}
	return syncFolder(folder)
}

// writeNew writes a file that only its owner can read, and returns once the data
// is on the disk.
func writeNew(folder *os.Root, name string, data []byte) error {
	file, err := folder.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// syncFolder writes the names in a folder to the disk.
func syncFolder(folder *os.Root) error {
	names, err := folder.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(names.Sync(), names.Close())
}

// lock takes the file's lock, which others hold only while they save.
func (f *File) lock(ctx context.Context, folder *os.Root) (*os.File, error) {
	file, err := f.openLock(folder)
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

// openLock opens the lock file, and creates it if there is none.
func (f *File) openLock(folder *os.Root) (*os.File, error) {
	name := filepath.Base(f.path) + ".lock"
	file, err := f.open(folder, name, os.O_RDWR)
	if !errors.Is(err, fs.ErrNotExist) {
		return file, err
	}
	file, err = folder.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return f.open(folder, name, os.O_RDWR)
	}
	return file, err
}
