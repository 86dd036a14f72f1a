// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const bundleType = types.MediaType("application/vnd.dev.sigstore.bundle.v0.3+json")

// attach attaches a bundle to a digest, as cosign does.
func attach(ctx context.Context, digest name.Digest, bundle []byte) error {
	subject, err := remote.Head(digest, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), bundleType)
	if image, err = mutate.AppendLayers(image, static.NewLayer(bundle, bundleType)); err != nil {
		return err
	}
	image = mutate.Subject(image, v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest}).(v1.Image)
	attached, err := image.Digest()
	if err != nil {
		return err
	}
	return remote.Write(digest.Context().Digest(attached.String()), image, remote.WithContext(ctx))
}

// attachments returns the bundles that are attached to a digest.
func attachments(ctx context.Context, digest name.Digest) ([][]byte, error) {
	referrers, err := remote.Referrers(digest, remote.WithContext(ctx), remote.WithFilter("artifactType", string(bundleType)))
	if err != nil {
		return nil, err
	}
	index, err := referrers.IndexManifest()
	if err != nil {
		return nil, err
	}
	var bundles [][]byte
	for _, descriptor := range index.Manifests {
		content, err := firstLayer(ctx, digest.Context().Digest(descriptor.Digest.String()))
		if err != nil {
			return nil, err
		}
		bundles = append(bundles, content)
	}
	return bundles, nil
}

func firstLayer(ctx context.Context, digest name.Digest) ([]byte, error) {
	image, err := remote.Image(digest, remote.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	layers, err := image.Layers()
	if err != nil {
		return nil, err
	}
	content, err := layers[0].Compressed() // which is not compressed
	if err != nil {
		return nil, err
	}
	defer content.Close()
	return io.ReadAll(content)
}

// change adds an annotation to the index or image with a digest, and returns its new digest.
func change(ctx context.Context, digest name.Digest) (name.Digest, error) {
	there, err := remote.Get(digest, remote.WithContext(ctx))
	if err != nil {
		return name.Digest{}, err
	}
	annotations := map[string]string{"changed": "true"}
	if there.MediaType.IsIndex() {
		index, err := there.ImageIndex()
		if err != nil {
			return name.Digest{}, err
		}
		changed := mutate.Annotations(index, annotations).(v1.ImageIndex)
		hash, err := changed.Digest()
		if err != nil {
			return name.Digest{}, err
		}
		other := digest.Context().Digest(hash.String())
		return other, remote.WriteIndex(other, changed, remote.WithContext(ctx))
	}
	image, err := there.Image()
	if err != nil {
		return name.Digest{}, err
	}
	changed := mutate.Annotations(image, annotations).(v1.Image)
	hash, err := changed.Digest()
	if err != nil {
		return name.Digest{}, err
	}
	other := digest.Context().Digest(hash.String())
	return other, remote.Write(other, changed, remote.WithContext(ctx))
}
