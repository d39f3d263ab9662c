package console

import (
	"io/fs"
	"testing"
)

// TestAssetsAreSmall checks that all that the pages load is less than 150 KB.
func TestAssetsAreSmall(t *testing.T) {
	files, size := 0, int64(0)
	err := fs.WalkDir(assets, ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		files++
		size += info.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 || size == 0 || size >= 150_000 {
		t.Errorf("%d assets have %d bytes", files, size)
	}
}
