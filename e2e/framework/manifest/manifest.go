// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package manifest reads Kubernetes manifests and applies them with server-side apply and strict
// field validation.
package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fieldOwner is the field manager of `kubectl apply --server-side`, so that a person can continue
// with it.
const fieldOwner = "kubectl"

// Decode reads a stream of YAML or JSON documents, without the empty ones.
func Decode(stream []byte) ([]*unstructured.Unstructured, error) {
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read manifest: %w", err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}

// Apply applies the objects in order. It forces conflicts, so that a second call reverts changes.
func Apply(ctx context.Context, config *rest.Config, objects ...*unstructured.Unstructured) error {
	return apply(ctx, config, objects)
}

// DryRun applies the objects without storing them.
func DryRun(ctx context.Context, config *rest.Config, objects ...*unstructured.Unstructured) error {
	return apply(ctx, config, objects, client.DryRunAll)
}

func apply(ctx context.Context, config *rest.Config, objects []*unstructured.Unstructured, options ...client.ApplyOption) error {
	config = rest.CopyConfig(config)
	config.QPS = -1 // dozens of objects would wait for client-go's default of 5 a second
	c, err := client.New(config, client.Options{})
	if err != nil {
		return fmt.Errorf("cannot make a client: %w", err)
	}
	strict := client.WithFieldValidation(c, metav1.FieldValidationStrict)
	options = append(options, client.FieldOwner(fieldOwner), client.ForceOwnership)
	for _, object := range objects {
		// Apply writes the response into its argument.
		wanted := client.ApplyConfigurationFromUnstructured(object.DeepCopy())
		if err := strict.Apply(ctx, wanted, options...); err != nil {
			return fmt.Errorf("cannot apply %s %s: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
		}
	}
	return nil
}
