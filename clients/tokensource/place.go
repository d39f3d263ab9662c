package tokensource

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// enter opens the folder of the file, unless others may write to it. All files are
// then opened relative to it, so that the folder that was checked is the one that is
// used, even if its path changes.
func (f *File) enter() (*os.Root, error) {
	path, err := f.resolve()
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(path + string(filepath.Separator) + ".") // without the dot, opening a pipe would block
	if err != nil {
		return nil, explain(path, err)
	}
	if err := f.private(path, folder); err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	return folder, nil
}

// resolve returns the path of the folder without symbolic links, as found by the
// first use.
func (f *File) resolve() (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.folder != "" {
		return f.folder, nil
	}
	path, err := filepath.EvalSymlinks(filepath.Dir(f.path))
	if err != nil {
		return "", explain(filepath.Dir(f.path), err)
	}
	f.folder = path
	return path, nil
}

// explain returns an error that says why the folder cannot be opened.
func explain(path string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the folder %s does not exist: make it (mkdir -m 700), or mount what it is on", path)
	}
	if info, statErr := os.Stat(path); statErr == nil && !info.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	return err
}

// private returns an error if others than this user and root can change what is in
// the folder.
func (f *File) private(path string, folder *os.Root) error {
	info, err := folder.Stat(".")
	if err != nil {
		return err
	}
	uid, _, err := f.owner(info)
	if err != nil {
		return err
	}
	const instead = "or use a folder of your own (mkdir -m 700)"
	if me := os.Geteuid(); uid != me && uid != 0 {
		return fmt.Errorf("the folder %s belongs to user %d, and this is user %d: chown it, %s", path, uid, me, instead)
	}
	if mode := info.Mode().Perm(); mode&0o022 != 0 {
		return fmt.Errorf("others than its owner may write to the folder %s (mode %04o): chmod go-w it, %s", path, mode, instead)
	}
	return nil
}

// open opens a file in the folder, which must be a regular file with one name that
// belongs to this user alone.
func (f *File) open(folder *os.Root, name string, flag int) (*os.File, error) {
	for range 100 {
		seen, err := folder.Lstat(name)
		if err != nil {
			return nil, err
		}
		if err := f.mine(name, seen); err != nil {
			return nil, err
		}
		file, err := folder.OpenFile(name, flag|openFlags, 0)
		if err != nil {
			return nil, err
		}
		opened, err := file.Stat()
		if err != nil {
			return nil, errors.Join(err, file.Close())
		}
		if os.SameFile(seen, opened) {
			return file, nil
		}
		_ = file.Close() // it was replaced meanwhile: by a save, or by a link, which an os.Root follows within its folder
	}
	return nil, fmt.Errorf("%s keeps being replaced", f.in(name))
}

// mine returns an error unless info describes a regular file with one name that
// belongs to this user alone.
func (f *File) mine(name string, info fs.FileInfo) error {
	if err := f.regular(name, info); err != nil {
		return err
	}
	uid, links, err := f.owner(info)
	if err != nil {
		return err
	}
	mode := info.Mode().Perm()
	switch me := os.Geteuid(); {
	case uid != me:
		return fmt.Errorf("%s belongs to user %d, and this is user %d: chown it, or run as its owner", f.in(name), uid, me)
	case mode&0o077 != 0:
		return fmt.Errorf("%s can be accessed by others than its owner (mode %04o): run chmod 600 on it", f.in(name), mode)
	case links > 1:
		return fmt.Errorf("%s has %d names (hard links), and a save would replace only one: remove the others (find -samefile)", f.in(name), links)
	}
	return nil
}

// regular returns an error unless info describes a regular file.
func (f *File) regular(name string, info fs.FileInfo) error {
	kind := ""
	switch info.Mode().Type() {
	case 0:
		return nil
	case fs.ModeSymlink:
		return fmt.Errorf("%s is a symbolic link: use the path that it leads to, or remove it", f.in(name))
	case fs.ModeDir:
		kind = "a folder"
	case fs.ModeNamedPipe:
		kind = "a named pipe"
	case fs.ModeSocket:
		kind = "a socket"
	default:
		kind = "a device"
	}
	return fmt.Errorf("%s is %s and not a regular file: remove it, or use another path", f.in(name), kind)
}

// in returns the path of a file in the folder.
func (f *File) in(name string) string { return filepath.Join(filepath.Dir(f.path), name) }
