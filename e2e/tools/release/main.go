// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command release writes a new version into the files that contain it, and packages and pushes the
// chart, for targets of the Makefile.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/helm"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/release"
)

var (
	version   = flag.String("version", "", "prepare: the version, such as v0.1.0")
	registry  = flag.String("registry", "", "prepare, push: the registry and the organization that publish it")
	root      = flag.String("root", "..", "prepare, package: the repository")
	output    = flag.String("output", "", "package: the directory of the archive")
	plainHTTP = flag.Bool("plain-http", false, "push: the registry has no TLS")
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: release [flags] prepare | package | push ARCHIVE")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := run(flag.Arg(0)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command string) error {
	at, err := commitTime()
	if err != nil {
		return err
	}
	printed := ""
	switch command {
	case "prepare":
		err = release.Release{Version: *version, Registry: *registry}.Prepare(*root, time.Now().UTC())
	case "package":
		printed, err = helm.Package(filepath.Join(*root, "deploy/charts/selfsigned-issuer"), *output, at)
	case "push":
		printed, err = helm.Push(flag.Arg(1), *registry+"/charts", *plainHTTP, at)
	default:
		flag.Usage()
		return errors.New("no such command")
	}
	if printed != "" && err == nil {
		fmt.Println(printed)
	}
	return err
}

// commitTime returns the time of archives, so that the same commit produces the same archives.
func commitTime() (time.Time, error) {
	epoch := os.Getenv("SOURCE_DATE_EPOCH")
	if epoch == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	return time.Unix(seconds, 0).UTC(), err
}
