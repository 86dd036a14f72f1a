// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sigstore "github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// The predicate types of statements, as in cosign.
const (
	signature       = "https://sigstore.dev/cosign/sign/v1"
	billOfMaterials = "https://cyclonedx.org/bom"
)

// key signs and verifies with a temporary key.
type key struct {
	pair     *sign.EphemeralKeypair
	verifier *verify.Verifier
}

func newKey() (*key, error) {
	pair, err := sign.NewEphemeralKeypair(nil)
	if err != nil {
		return nil, err
	}
	public, err := sigstore.LoadVerifier(pair.GetPublicKey(), crypto.SHA256)
	if err != nil {
		return nil, err
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(public, time.Time{}, time.Time{}), nil
	})
	// There is no transparency log here.
	verifier, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps())
	return &key{pair, verifier}, err
}

// sign returns a bundle with a signed statement about the digest.
func (k *key) sign(ctx context.Context, digest name.Digest, predicateType string, predicate any) ([]byte, error) {
	hash, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		return nil, err
	}
	statement, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": digest.Repository.Name(), "digest": map[string]string{hash.Algorithm: hash.Hex}}},
		"predicateType": predicateType,
		"predicate":     predicate,
	})
	if err != nil {
		return nil, err
	}
	content := &sign.DSSEData{Data: statement, PayloadType: "application/vnd.in-toto+json"}
	signed, err := sign.Bundle(content, k.pair, sign.BundleOptions{Context: ctx})
	if err != nil {
		return nil, err
	}
	return protojson.Marshal(signed)
}

// verify expects a statement about the digest in the registry that is signed with this key.
func (k *key) verify(ctx context.Context, digest name.Digest, predicateType string) error {
	hash, err := v1.NewHash(digest.DigestStr())
	if err != nil {
		return err
	}
	want, err := hex.DecodeString(hash.Hex)
	if err != nil {
		return err
	}
	attached, err := attachments(ctx, digest)
	if err != nil {
		return err
	}
	failures := []error{fmt.Errorf("none of %d statements is valid", len(attached))}
	for _, content := range attached {
		var b bundle.Bundle
		if err := b.UnmarshalJSON(content); err != nil {
			return err
		}
		result, err := k.verifier.Verify(&b, verify.NewPolicy(verify.WithArtifactDigest(hash.Algorithm, want), verify.WithKey()))
		switch {
		case err != nil:
			failures = append(failures, err)
		case result.Statement.GetPredicateType() == predicateType:
			return nil
		}
	}
	return errors.Join(failures...)
}
