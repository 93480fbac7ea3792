// Program pack builds pgbackup-runner for every architecture the provider
// carries and puts the compressed programs where package runnerdist embeds them.
// The same sources, version and Go release give the same bytes in any folder.
//
//	go run ./internal/runnerdist/pack -version 1.2.3
package main

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	version := flag.String("version", "dev", "version the runner reports")
	archs := flag.String("arch", "amd64,arm64", "architectures, separated by commas")
	out := flag.String("out", filepath.Join("internal", "runnerdist", "dist"), "folder to write to")
	source := flag.String("source", "./runner", "package to build")
	flag.Parse()
	for arch := range strings.SplitSeq(*archs, ",") {
		if err := pack(*source, *out, arch, *version); err != nil {
			fmt.Fprintf(os.Stderr, "pack the runner for linux/%s: %v\n", arch, err)
			os.Exit(1)
		}
	}
}

func pack(source, out, arch, version string) (err error) {
	tmp, err := os.MkdirTemp("", "pgbackup-pack")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	program := filepath.Join(tmp, "pgbackup-runner")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -buildid= -X main.version="+version, "-o", program, source)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOFLAGS=-mod=readonly")
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("go build %s: %w", source, err)
	}
	name := filepath.Join(out, "pgbackup-runner_linux_"+arch)
	sum, size, err := compress(program, name+".gz")
	if err != nil {
		return err
	}
	if err := os.WriteFile(name+".sha256", fmt.Appendf(nil, "%s %d\n", sum, size), 0o644); err != nil {
		return err
	}
	fmt.Printf("linux/%s %s %d bytes\n", arch, sum, size)
	return nil
}

// compress leaves name and time out of the gzip header, so that the result
// depends on the content alone.
func compress(from, to string) (sum string, size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return "", 0, err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return "", 0, err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z, err := gzip.NewWriterLevel(out, gzip.BestCompression)
	if err != nil {
		return "", 0, err
	}
	h := sha256.New()
	if size, err = io.Copy(io.MultiWriter(z, h), in); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, z.Close()
}
