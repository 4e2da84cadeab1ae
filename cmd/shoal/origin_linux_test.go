package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestACopyOfAFolderIsKnown(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	for range 3 { // made, and started again
		if copied, err := putBack(dir); err != nil || copied {
			t.Fatalf("copied: %v, %v", copied, err)
		}
	}
	moved := dir + "-moved"
	if err := os.Rename(dir, moved); err != nil {
		t.Fatal(err)
	}
	if copied, err := putBack(moved); err != nil || copied {
		t.Fatalf("a folder that was renamed is no copy: %v, %v", copied, err)
	}
	if out, err := exec.Command("cp", "-a", moved, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if copied, err := putBack(dir); err != nil || !copied {
		t.Fatalf("a copy is not known: %v", err)
	}
	if copied, _ := putBack(dir); !copied {
		t.Fatal("forgotten before the node has started")
	}
	if err := markOrigin(dir, filepath.Join(dir, originFile)); err != nil {
		t.Fatal(err)
	}
	if copied, err := putBack(dir); err != nil || copied {
		t.Fatalf("not an original: %v, %v", copied, err)
	}
	if err := markOrigin(dir, filepath.Join(dir, "none", originFile)); err == nil {
		t.Fatal("written where there is no folder")
	}
	if names, _ := filepath.Glob(filepath.Join(dir, originFile+"?*")); len(names) > 0 {
		t.Fatalf("left behind by what failed: %v", names)
	}
}
