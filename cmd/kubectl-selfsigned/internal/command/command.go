// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package command has the subcommands of kubectl selfsigned.
package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"sigs.k8s.io/yaml"

	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/cluster"
)

// Version is the version of a release, which the build sets.
var Version = "dev"

// UsageError is a wrong flag or argument.
type UsageError struct{ message string }

// Error returns the problem and where to read more.
func (e UsageError) Error() string { return e.message + "; see --help" }

func usageError(format string, args ...any) error { return UsageError{fmt.Sprintf(format, args...)} }

// options are common to all subcommands.
type options struct {
	*genericclioptions.ConfigFlags
	genericclioptions.IOStreams
	clusterResources string
}

// Run runs a command line.
func Run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer) error {
	o := &options{genericclioptions.NewConfigFlags(true), genericclioptions.IOStreams{In: in, Out: out, ErrOut: errOut}, ""}
	usage := true // until the flags and arguments are valid
	root := &cobra.Command{
		Use:   "kubectl-selfsigned",
		Short: "See and change private PKIs with roots of selfsigned-issuer",
		Long: "See and change private PKIs with roots of selfsigned-issuer, with your own permissions.\n\n" +
			"A root is a Certificate with spec.isCA of a SelfSignedIssuer or a ClusterSelfSignedIssuer. No command\n" +
			"prints, keeps or decodes a private key.",
		Version:           Version,
		Annotations:       map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl selfsigned"},
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { usage = false },
		CompletionOptions: cobra.CompletionOptions{DisableDescriptions: true},
	}
	o.AddFlags(root.PersistentFlags())
	root.PersistentFlags().StringVar(&o.clusterResources, "cluster-resource-namespace", "cert-manager",
		"The namespace of the Secrets of ClusterIssuers: the flag of the same name of cert-manager.")
	root.AddCommand(newTree(ctx, o))
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err != nil && usage {
		return usageError("%s", strings.ReplaceAll(err.Error(), "\n", " "))
	}
	return err
}

// connect returns a client.
func (o *options) connect() (*cluster.Cluster, error) { return cluster.New(o, o.ErrOut) }

// key parses NAME or NAMESPACE/NAME.
func (o *options) key(argument string) (types.NamespacedName, error) {
	namespace, name, found := strings.Cut(argument, "/")
	if !found {
		namespace, name = "", argument
	}
	if found && namespace == "" || name == "" || strings.Contains(name, "/") {
		return types.NamespacedName{}, usageError("%q: must be NAME or NAMESPACE/NAME", argument)
	}
	if !found {
		var err error
		if namespace, _, err = o.ToRawKubeConfigLoader().Namespace(); err != nil {
			return types.NamespacedName{}, fmt.Errorf("no access to an API server: %w", err)
		}
	}
	return types.NamespacedName{Namespace: namespace, Name: name}, nil
}

// The output formats.
const (
	formatTable = "table"
	formatJSON  = "json"
	formatYAML  = "yaml"
)

// output is the flag --output.
type output string

// addTo adds the flag with its formats.
func (f *output) addTo(c *cobra.Command, formats ...string) {
	c.Flags().StringVarP((*string)(f), "output", "o", formats[0], "The output format: "+strings.Join(formats, ", ")+".")
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)) // the flag exists
	c.PreRunE = func(*cobra.Command, []string) error {
		if slices.Contains(formats, string(*f)) {
			return nil
		}
		return usageError("--output=%q: must be one of %s", *f, strings.Join(formats, ", "))
	}
}

// print prints an object in JSON or YAML.
func (f *output) print(w io.Writer, object any) error {
	encoded, err := json.MarshalIndent(object, "", "  ")
	if err != nil {
		return err
	}
	if *f == formatYAML {
		if encoded, err = yaml.JSONToYAML(encoded); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintln(w, strings.TrimSpace(string(encoded)))
	return err
}
