package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestTheFileOfAReceiverThatIsAtWorkIsOfThisRunAlone(t *testing.T) {
	file := filepath.Join(t.TempDir(), "alive")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(envAlive, file)
	f, err := newAliveFile()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("what an earlier run left is still there: %v", err)
	}
	for range 2 {
		if err := f.touch(time.Now()); err != nil {
			t.Error(err)
		}
	}
	if info, err := os.Stat(file); err != nil || time.Since(info.ModTime()) > time.Minute {
		t.Errorf("%v, %v", info, err)
	}
	t.Setenv(envAlive, "")
	if f, err = newAliveFile(); err != nil || f.touch(time.Now()) != nil {
		t.Errorf("without a file: %v", err)
	}
}
