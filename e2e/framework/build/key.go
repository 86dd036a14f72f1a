// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// moduleKey identifies the result of a build by the files of the module and other inputs. modfile and
// its .sum pin the other sources; an empty modfile is go.mod.
func moduleKey(directory, modfile string, also ...string) (string, error) {
	modfile = strings.TrimSuffix(cmp.Or(modfile, "go.mod"), ".mod")
	sum := sha256.New()
	for _, s := range also {
		fmt.Fprintf(sum, "%q\n", s)
	}
	// WalkDir goes in lexical order: the same files give the same key.
	err := filepath.WalkDir(directory, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		name, err := filepath.Rel(directory, path)
		if err != nil {
			return err
		}
		if stem, ext := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name); (ext == ".mod" || ext == ".sum") && stem != modfile {
			return nil
		}
		return hashFile(sum, name, path)
	})
	return shorten(sum), err
}

// fileKey identifies a file by its content.
func fileKey(path string) (string, error) {
	sum := sha256.New()
	err := hashFile(sum, "", path)
	return shorten(sum), err
}

func hashFile(sum hash.Hash, name, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// The size separates the file from the next one.
	fmt.Fprintf(sum, "%q %d\n", name, info.Size())
	_, err = io.Copy(sum, f)
	return err
}

func shorten(sum hash.Hash) string { return hex.EncodeToString(sum.Sum(nil))[:16] }
