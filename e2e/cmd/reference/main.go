// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Command reference writes docs/issuer.md: the fields of the issuers, as the schema that is
// generated from their Go types describes them, each with an example. The examples are run
// with the page, by package doctest.
package main

import (
	"bytes"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/cert-manager/selfsigned-issuer/e2e/manifest"
	"github.com/cert-manager/selfsigned-issuer/e2e/toolchain"
)

const schemaFile = "deploy/crds/selfsigned.cert-manager.io_selfsignedissuers.yaml"

//go:embed page.md.tmpl
var page string

func main() {
	output := flag.String("output", "docs/issuer.md", "file to write, below the repository's root or absolute")
	flag.Parse()
	if err := run(*output); err != nil {
		fmt.Fprintln(os.Stderr, "reference:", err)
		os.Exit(1)
	}
}

func run(output string) error {
	root, err := toolchain.Root()
	if err != nil {
		return err
	}
	spec, err := readSpec(filepath.Join(root, schemaFile))
	if err != nil {
		return err
	}
	fields, err := describe(spec)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	if err := template.Must(template.New("").Parse(page)).Execute(&text, fields); err != nil {
		return err
	}
	if !filepath.IsAbs(output) {
		output = filepath.Join(root, output)
	}
	return os.WriteFile(output, text.Bytes(), 0o644) //nolint:gosec // a page for everybody
}

// readSpec returns the schema of the issuers' spec.
func readSpec(path string) (*apiextensions.JSONSchemaProps, error) {
	stream, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	objects, err := manifest.Decode(stream)
	if err != nil || len(objects) != 1 {
		return nil, errors.Join(err, fmt.Errorf("%s has %d objects, want 1", path, len(objects)))
	}
	var crd apiextensions.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(objects[0].Object, &crd); err != nil {
		return nil, err
	}
	spec := crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
	return &spec, nil
}

// field is what the page says about one.
type field struct {
	example
	Type, Description, Spec string
	Values, Messages        []string
}

// describe joins the schema with the examples. Every field has one.
func describe(spec *apiextensions.JSONSchemaProps) ([]field, error) {
	var fields []field
	missing := maps.Clone(spec.Properties)
	for _, e := range examples {
		schema, ok := missing[e.Field]
		if !ok {
			return nil, fmt.Errorf("the example for %s is of no field", e.Field)
		}
		delete(missing, e.Field)
		text, setting, ok := strings.Cut(schema.Description, "\n\nExample: `")
		if !ok {
			return nil, fmt.Errorf("the comment of %s has no \"Example: `...`\"", e.Field)
		}
		fields = append(fields, field{
			example: e, Type: typeOf(schema), Description: text, Spec: strings.TrimSuffix(setting, "`"),
			Values: valuesOf(schema), Messages: messagesOf(schema),
		})
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("e2e/cmd/reference/examples.go lacks %s", strings.Join(slices.Sorted(maps.Keys(missing)), ", "))
	}
	return fields, nil
}

// Anchor is the field's name as a heading's link has it.
func (f field) Anchor() string { return strings.ToLower(f.Field) }

func typeOf(schema apiextensions.JSONSchemaProps) string {
	if schema.Items != nil {
		return "list of " + typeOf(*schema.Items.Schema) + "s"
	}
	return schema.Type
}

func valuesOf(schema apiextensions.JSONSchemaProps) []string {
	var values []string
	for _, value := range schema.Enum {
		values = append(values, "`"+strings.Trim(string(value.Raw), `"`)+"`")
	}
	return values
}

// messagesOf returns what the API server says when it refuses a value.
func messagesOf(schema apiextensions.JSONSchemaProps) []string {
	var messages []string
	for _, rule := range schema.XValidations {
		messages = append(messages, rule.Message)
	}
	if schema.Items != nil {
		messages = append(messages, messagesOf(*schema.Items.Schema)...)
	}
	return messages
}
