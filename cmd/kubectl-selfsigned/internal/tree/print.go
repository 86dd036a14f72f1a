// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package tree

import (
	"fmt"
	"io"
	"strings"

	"k8s.io/cli-runtime/pkg/printers"
)

// noValue stands for an unknown or empty value.
const noValue = "-"

// table prints a tree.
type table struct {
	io.Writer
	warnings []string
}

// Print prints the tree as a table, and the warnings below it.
func (t *Tree) Print(w io.Writer) error {
	tabs := printers.GetNewTabWriter(w)
	p := &table{Writer: tabs}
	p.row("NAME", "READY", "SUBJECT", "KEY", "ALGORITHM", "NOT AFTER", "LEFT", "SIGNED BY", "WARNINGS")
	for _, root := range t.Roots {
		p.certificate(root, "", "")
	}
	if err := tabs.Flush(); err != nil {
		return err
	}
	if len(p.warnings) > 0 {
		fmt.Fprintln(w)
	}
	for _, warning := range p.warnings {
		fmt.Fprintln(w, warning)
	}
	return nil
}

func (p *table) row(columns ...string) {
	for i, column := range columns {
		if column == "" {
			columns[i] = noValue
		}
	}
	fmt.Fprintln(p, strings.Join(columns, "\t"))
}

// certificate prints a Certificate and all below. indent is that of its first line, and next of the
// following ones.
func (p *table) certificate(c *Certificate, indent, next string) {
	var notAfter string
	if c.NotAfter != nil {
		notAfter = c.NotAfter.UTC().Format("2006-01-02")
	}
	var reasons []string
	for _, warning := range c.Warnings {
		reasons = append(reasons, warning.Reason)
		p.warnings = append(p.warnings, fmt.Sprintf("%s: %s: %s.", Title(c.Object), warning.Reason, warning.Message))
	}
	p.row(indent+Title(c.Object), c.Ready, c.Subject, short(c.KeyIdentifier), c.Algorithm, notAfter, c.TimeLeft,
		c.SignedBy.String(), strings.Join(reasons, ","))
	for i, issuer := range c.Issuers {
		first, rest := branch(next, i == len(c.Issuers)-1)
		p.issuer(issuer, first, rest)
	}
}

func (p *table) issuer(issuer *Issuer, indent, next string) {
	name := issuer.Name
	if issuer.Namespace != "" {
		name = issuer.Namespace + "/" + name
	}
	p.row(indent+issuer.Kind+" "+name, issuer.Ready, "", "", "", "", "", "", "")
	for i, certificate := range issuer.Certificates {
		first, rest := branch(next, i == len(issuer.Certificates)-1)
		p.certificate(certificate, first, rest)
	}
}

// branch returns the lines of the tree before an element, and before what is below it.
func branch(indent string, last bool) (first, rest string) {
	if last {
		return indent + "└─ ", indent + "   "
	}
	return indent + "├─ ", indent + "│  "
}

// shortLength is enough to tell keys apart.
const shortLength = 8

func short(identifier string) string {
	return identifier[:min(len(identifier), shortLength)]
}

// String describes the signer in a table.
func (s *Signer) String() string {
	switch {
	case s == nil:
		return "itself"
	case s.Generation == OtherKey && s.Certificate != "":
		return fmt.Sprintf("%s %s", s.Generation, s.Certificate)
	case s.Generation == OtherKey:
		return fmt.Sprintf("%s %s", s.Generation, short(s.KeyIdentifier))
	default:
		return string(s.Generation)
	}
}
