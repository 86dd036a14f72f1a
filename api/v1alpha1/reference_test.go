// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/template"

	"sigs.k8s.io/yaml"

	"github.com/cert-manager/selfsigned-issuer/internal/docgen"
)

const (
	schemaFile = "../../deploy/crds/selfsigned.cert-manager.io_selfsignedissuers.yaml"
	examples   = "../../deploy/examples/*.yaml"
)

// property is the part of an OpenAPI schema that the reference shows.
type property struct {
	Type, Description string
	Enum              []string
	Items             *property
	Properties        map[string]property
	Rules             []struct{ Message string } `json:"x-kubernetes-validations"`
}

func (s property) typeName() string {
	if s.Items != nil {
		return "list of " + s.Items.typeName() + "s"
	}
	return s.Type
}

// messages returns the messages for rejected values.
func (s property) messages() []string {
	var messages []string
	for _, rule := range s.Rules {
		messages = append(messages, rule.Message)
	}
	if s.Items != nil {
		messages = append(messages, s.Items.messages()...)
	}
	return messages
}

// readSchema returns the schema of the issuers' spec.
func readSchema(t *testing.T) property {
	t.Helper()
	var crd struct {
		Spec struct {
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema property
				}
			}
		}
	}
	unmarshal(t, []byte(readFile(t, schemaFile)), &crd)
	return crd.Spec.Versions[0].Schema.OpenAPIV3Schema.Properties["spec"]
}

// option is the section of the reference about a field of the spec.
type option struct {
	Name, Anchor, Type, Summary, Text string
	Enum, Messages                    []string
	Example                           example
}

// example is a file of deploy/examples.
type example struct {
	Comment, Apply, Look  string // of the comment at its top
	Manifest, Certificate string
}

// TestGeneratedIssuerPage writes the reference of the issuers. The example of an option is the only one whose
// issuer sets only this option.
func TestGeneratedIssuerPage(t *testing.T) {
	properties, examples := readSchema(t).Properties, readExamples(t)
	var fields []option
	spec := reflect.TypeFor[SelfSignedIssuerSpec]()
	for f := range spec.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		p := properties[name]
		if len(examples[name]) != 1 {
			t.Fatalf("%d files in deploy/examples show spec.%s, want 1", len(examples[name]), name)
		}
		text, _, _ := strings.Cut(p.Description, "\n\nExample: `")
		summary, _, _ := strings.Cut(strings.ReplaceAll(text, "\n", " "), ". ")
		fields = append(fields, option{
			Name: name, Anchor: strings.ToLower(name), Type: p.typeName(), Text: text,
			Summary: strings.TrimPrefix(summary, name+" "),
			Enum:    p.Enum, Messages: p.messages(), Example: examples[name][0],
		})
	}
	var page strings.Builder
	if err := template.Must(template.ParseFiles("testdata/issuer.md.tmpl")).Execute(&page, fields); err != nil {
		t.Fatal(err)
	}
	docgen.File(t, "../../docs/issuer.md", page.String())
}

// readExamples returns the examples of one option, by its name.
func readExamples(t *testing.T) map[string][]example {
	t.Helper()
	paths, err := filepath.Glob(examples)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]example{}
	for _, path := range paths {
		text := readFile(t, path)
		comment, manifest, _ := strings.Cut(text, "apiVersion:")
		manifest = "apiVersion:" + manifest
		var options, certificates []string
		for document := range strings.SplitSeq(manifest, "\n---\n") {
			var object struct {
				Kind     string
				Metadata struct{ Name string }
				Spec     map[string]any
			}
			unmarshal(t, []byte(document), &object)
			switch object.Kind {
			case "SelfSignedIssuer":
				options = slices.AppendSeq(options, maps.Keys(object.Spec))
			case "Certificate":
				certificates = append(certificates, object.Metadata.Name)
			}
		}
		if len(options) == 1 && len(certificates) == 1 {
			e := readComment(comment)
			e.Manifest, e.Certificate = manifest, certificates[0]
			found[options[0]] = append(found[options[0]], e)
		}
	}
	return found
}

// readComment reads the comment at the top of an example: a license, prose, and indented commands.
func readComment(comment string) example {
	var prose, commands []string
	for line := range strings.Lines(comment) {
		line = strings.TrimPrefix(strings.TrimSuffix(line, "\n"), "#")
		if command, ok := strings.CutPrefix(line, "   "); ok {
			commands = append(commands, command)
		} else if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "Copyright") && !strings.HasPrefix(line, "SPDX") {
			prose = append(prose, line)
		}
	}
	return example{Comment: strings.Join(prose, "\n"), Apply: commands[0], Look: strings.Join(commands[1:], "\n")}
}

// TestEnums: the schema and Validate know the same values.
func TestEnums(t *testing.T) {
	properties := readSchema(t).Properties
	for name, known := range map[string][]string{
		"emptySubject":         values(emptySubjectPolicies),
		"signatureAlgorithm":   values(signatureAlgorithms),
		"subjectKeyIdentifier": values(subjectKeyIdentifierMethods),
	} {
		if got := properties[name].Enum; !slices.Equal(got, known) {
			t.Errorf("%s: the marker has %q, Validate %q", name, got, known)
		}
	}
}

func values[T ~string](typed []T) []string {
	var values []string
	for _, value := range typed {
		values = append(values, string(value))
	}
	return values
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(fmt.Errorf("%w in %.200s", err, text))
	}
}
