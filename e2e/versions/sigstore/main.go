// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command sigstore rehearses the signatures of a release with a temporary key: it signs digests,
// attests their bill of materials, verifies both in the registry, and expects that they are not
// valid for another digest. The public workflow signs and attests with cosign, without a key.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
)

func main() {
	sbom := flag.String("sbom", "", "file with a bill of materials in CycloneDX's format")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: sigstore -sbom FILE REPOSITORY@DIGEST ...")
		flag.PrintDefaults()
	}
	flag.Parse()
	if err := rehearse(context.Background(), *sbom, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func rehearse(ctx context.Context, sbom string, references []string) error {
	content, err := os.ReadFile(sbom)
	if err != nil {
		return err
	}
	var components any
	if err := json.Unmarshal(content, &components); err != nil {
		return fmt.Errorf("%s: %w", sbom, err)
	}
	k, err := newKey()
	if err != nil {
		return err
	}
	for _, reference := range references {
		digest, err := name.NewDigest(reference)
		if err != nil {
			return err
		}
		for predicateType, predicate := range map[string]any{signature: map[string]any{}, billOfMaterials: components} {
			if err := rehearseOne(ctx, k, digest, predicateType, predicate); err != nil {
				return fmt.Errorf("%s: %s: %w", digest, predicateType, err)
			}
			fmt.Printf("signed, verified, and refused for another digest: %s of %s\n", predicateType, digest)
		}
	}
	return nil
}

func rehearseOne(ctx context.Context, k *key, digest name.Digest, predicateType string, predicate any) error {
	bundle, err := k.sign(ctx, digest, predicateType, predicate)
	if err != nil {
		return err
	}
	if err := attach(ctx, digest, bundle); err != nil {
		return err
	}
	if err := k.verify(ctx, digest, predicateType); err != nil {
		return err
	}
	changed, err := change(ctx, digest)
	if err != nil {
		return err
	}
	// As if the image was replaced and the signature kept.
	if err := attach(ctx, changed, bundle); err != nil {
		return err
	}
	if k.verify(ctx, changed, predicateType) == nil {
		return errors.New("it is also valid for another digest")
	}
	return nil
}
