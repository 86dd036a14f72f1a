// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package command

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/cluster"
	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/tree"
)

// defaultWarnBefore is when cert-manager renews a certificate of 90 days.
const defaultWarnBefore = 30 * 24 * time.Hour

func newTree(ctx context.Context, o *options) *cobra.Command {
	var format output
	var warnBefore time.Duration
	c := &cobra.Command{
		Use:   "tree [[NAMESPACE/]ROOT]",
		Short: "Show the roots, the CA issuers that sign with them, and the Certificates below",
		Long: "Show the roots, the CA issuers that sign with them, and the Certificates below, in all namespaces.\n\n" +
			"SIGNED BY is the generation of the CA that has signed a certificate: the Current certificate in the\n" +
			"Secret of the issuer, an earlier one with the SameKey, or a CA with an OtherKey.\n\n" +
			"tree lists Certificates, Issuers and ClusterIssuers, and gets the Secrets that these Certificates name,\n" +
			"of which it uses tls.crt and ca.crt. For a Secret that you may not get, it shows what the status of the\n" +
			"Certificate has.",
		Example: "  kubectl selfsigned tree\n  kubectl selfsigned tree cert-manager/my-root -o yaml",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := o.tree(ctx, args)
			if err != nil {
				return err
			}
			found.tree.Describe(found.cluster.Secrets(ctx, found.tree.Secrets()), time.Now(), warnBefore)
			reportUnread(o.ErrOut, found.tree)
			if format != formatTable {
				return format.print(o.Out, found.tree)
			}
			if len(found.tree.Roots) == 0 {
				fmt.Fprintln(o.ErrOut, "No roots found.")
				return nil
			}
			return found.tree.Print(o.Out)
		},
		ValidArgsFunction: o.completeRoots,
	}
	format.addTo(c, formatTable, formatJSON, formatYAML)
	c.Flags().DurationVar(&warnBefore, "warn-before", defaultWarnBefore, "Warn about certificates that expire within this duration.")
	return c
}

// found is a tree and the cluster that it was read from.
type found struct {
	cluster *cluster.Cluster
	tree    *tree.Tree
}

// tree reads the tree of all roots, or of the named one.
func (o *options) tree(ctx context.Context, args []string) (found, error) {
	var key types.NamespacedName
	if len(args) > 0 {
		var err error
		if key, err = o.key(args[0]); err != nil {
			return found{}, err
		}
	}
	c, err := o.connect()
	if err != nil {
		return found{}, err
	}
	objects, err := c.Objects(ctx)
	if err != nil {
		return found{}, err
	}
	t := tree.Build(objects, o.clusterResources)
	if len(args) > 0 {
		if _, err := t.Select(key); err != nil {
			return found{}, err
		}
	}
	return found{c, t}, nil
}

// reportUnread reports the Secrets that were not read.
func reportUnread(w io.Writer, t *tree.Tree) {
	unread := t.Unread()
	if len(unread) == 0 {
		return
	}
	fmt.Fprintf(w, "%d Secrets were not read, and their Certificates are shown with their status only. tree needs the permission to "+
		"get them, which the ClusterRole in deploy/examples/kubectl-selfsigned/tree.yaml grants:\n", len(unread))
	for _, secret := range unread {
		fmt.Fprintln(w, " ", secret)
	}
}

// completeRoots completes the argument ROOT.
func (o *options) completeRoots(c *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var names []cobra.Completion
	if len(args) == 0 {
		if found, err := o.tree(c.Context(), nil); err == nil {
			for _, root := range found.tree.Roots {
				names = append(names, root.Key().String())
			}
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
