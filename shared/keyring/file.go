package keyring

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/rotor-auth/rotor/shared/signing"
)

// maxFile is the size limit of a key file in bytes. It is more than any document
// needs, and as much as Secrets Manager stores.
const maxFile = 64 << 10

// File returns a [Source] of the keys in the file at path, which is read once. If
// there is no such file, it creates one with new keys that only its owner can read.
// If several processes do so at once, all of them end up with the keys of the first.
//
// It refuses a file that others than its owner can read, and one in which no key
// signs with alg. An empty alg accepts any file, and means RS256 for a new one.
func File(path string, alg signing.Algorithm, now time.Time) (Source, error) {
	d, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = makeFile(path, cmp.Or(alg, signing.RS256), now)
		if err != nil {
			return nil, fmt.Errorf("keyring: file: %w", err)
		}
		d, err = readFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("keyring: file: %w", err)
	}
	err = checkAlgorithm(d, alg)
	if err != nil {
		return nil, fmt.Errorf("keyring: file %s: %w", path, err)
	}
	keys, err := d.Compile()
	if err != nil {
		return nil, fmt.Errorf("keyring: file %s: %w", path, err)
	}
	return fixed{keys}, nil
}

func readFile(path string) (*Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	// Windows keeps its permissions elsewhere and reports 0666 for every file.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return nil, fmt.Errorf("%s can be accessed by others than its owner (mode %04o): run chmod 600 on it", path, mode)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	d, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return d, nil
}

// makeFile writes new keys to path, all or nothing, unless another process has
// written some first.
func makeFile(path string, alg signing.Algorithm, now time.Time) error {
	d, err := Generate(alg, now)
	if err != nil {
		return err
	}
	data, err := d.Encode()
	if err != nil {
		return err
	}
	temporary, err := writeTemporary(path, append(data, '\n'))
	if err != nil {
		return err
	}
	// A rename would replace the keys of a faster process, which may already be
	// using them. A link does not.
	linked := os.Link(temporary, path)
	err = os.Remove(temporary)
	if linked != nil && !errors.Is(linked, fs.ErrExist) {
		return linked
	}
	return err
}

// writeTemporary writes a file that only its owner can read, in the folder of
// path, and returns its name once the data is on the disk.
func writeTemporary(path string, data []byte) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err != nil {
		return "", errors.Join(err, os.Remove(file.Name()))
	}
	return file.Name(), nil
}

// checkAlgorithm returns an error if no key of the document can sign with alg. An empty
// alg stands for any.
func checkAlgorithm(d *Document, alg signing.Algorithm) error {
	var has []string
	for _, k := range d.Signing {
		if !k.Private() {
			continue
		}
		if alg == "" || k.JWK.Algorithm == string(alg) {
			return nil
		}
		has = append(has, k.JWK.Algorithm)
	}
	slices.Sort(has)
	found := cmp.Or(strings.Join(slices.Compact(has), ", "), "nothing")
	return fmt.Errorf("%s was asked for, and its keys sign with %s: ask for that, or name another file", cmp.Or(string(alg), "a key that signs"), found)
}
