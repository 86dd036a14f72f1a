// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package tree shows private PKIs: roots, the CA issuers that sign with them, and the Certificates below.
package tree

import (
	"cmp"
	"fmt"
	"slices"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/cluster"
	"github.com/cert-manager/selfsigned-issuer/cmd/kubectl-selfsigned/internal/pki"
)

// Tree has the private PKIs of a cluster.
type Tree struct {
	// Roots are the CA Certificates of the issuers of selfsigned-issuer.
	Roots []*Certificate `json:"roots"`

	// others are the roots that are not shown. Their CAs may have signed certificates that are.
	others []*Certificate
	// issuedBy has all Certificates.
	issuedBy map[IssuerKey][]*cmapi.Certificate
}

// Certificate is a Certificate of cert-manager. What its Secret contains is empty if it was not read.
type Certificate struct {
	Namespace     string       `json:"namespace"`
	Name          string       `json:"name"`
	SecretName    string       `json:"secretName"`
	Issuer        string       `json:"issuer"`
	Ready         string       `json:"ready"`
	Subject       string       `json:"subject,omitempty"`
	KeyIdentifier string       `json:"keyIdentifier,omitempty"`
	Algorithm     string       `json:"algorithm,omitempty"`
	NotAfter      *metav1.Time `json:"notAfter,omitempty"`
	TimeLeft      string       `json:"timeLeft,omitempty"`
	// SignedBy is nil for a root.
	SignedBy *Signer   `json:"signedBy,omitempty"`
	Warnings []Warning `json:"warnings,omitempty"`
	// SecretError is why the Secret was not read.
	SecretError string `json:"secretError,omitempty"`
	// Issuers sign with this certificate.
	Issuers []*Issuer `json:"issuers,omitempty"`

	// Object is the Certificate as it was read.
	Object *cmapi.Certificate `json:"-"`
	public *pki.Secret
}

// Issuer is a CA issuer of cert-manager.
type Issuer struct {
	Kind         string         `json:"kind"`
	Namespace    string         `json:"namespace,omitempty"`
	Name         string         `json:"name"`
	Ready        string         `json:"ready"`
	Certificates []*Certificate `json:"certificates,omitempty"`
}

// Key returns the namespace and the name of a Certificate.
func (c *Certificate) Key() types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: c.Name}
}

func (c *Certificate) secretKey() types.NamespacedName {
	return types.NamespacedName{Namespace: c.Namespace, Name: c.SecretName}
}

// IssuerKinds are cert-manager's kinds of issuers, and RootIssuerKinds those of selfsigned-issuer.
var (
	IssuerKinds     = []string{cmapi.IssuerKind, cmapi.ClusterIssuerKind}
	RootIssuerKinds = []string{"SelfSignedIssuer", "ClusterSelfSignedIssuer"}
)

// IssuerKey identifies an issuer. Issuers of a whole cluster have no namespace.
type IssuerKey struct{ Group, Kind, Namespace, Name string }

// NewIssuerKey returns the key of an issuer.
func NewIssuerKey(kind, namespace, name string) IssuerKey {
	key := IssuerKey{cmapi.SchemeGroupVersion.Group, kind, namespace, name}
	if slices.Contains(RootIssuerKinds, kind) {
		key.Group = selfsigned.GroupName
	}
	if kind == IssuerKinds[1] || kind == RootIssuerKinds[1] {
		key.Namespace = ""
	}
	return key
}

// String returns the kind, the namespace and the name.
func (k IssuerKey) String() string {
	if k.Namespace == "" {
		return k.Kind + " " + k.Name
	}
	return k.Kind + " " + k.Namespace + "/" + k.Name
}

// IssuedBy returns all Certificates that name an issuer.
func (t *Tree) IssuedBy(issuer IssuerKey) []*cmapi.Certificate { return sorted(t.issuedBy[issuer]) }

// builder has the objects by what they refer to.
type builder struct {
	issuedBy map[IssuerKey][]*cmapi.Certificate
	signWith map[types.NamespacedName][]*Issuer
}

// Build returns the tree of the objects, without what Secrets contain. CA ClusterIssuers read their
// Secret in the namespace clusterResources.
func Build(objects cluster.Objects, clusterResources string) *Tree {
	b := &builder{map[IssuerKey][]*cmapi.Certificate{}, map[types.NamespacedName][]*Issuer{}}
	for i := range objects.ClusterIssuers {
		b.addIssuer(&objects.ClusterIssuers[i], cmapi.ClusterIssuerKind, clusterResources)
	}
	for i := range objects.Issuers {
		b.addIssuer(&objects.Issuers[i], cmapi.IssuerKind, objects.Issuers[i].Namespace)
	}
	roots := []*cmapi.Certificate{}
	for i := range objects.Certificates {
		certificate := &objects.Certificates[i]
		key := issuerOf(certificate)
		b.issuedBy[key] = append(b.issuedBy[key], certificate)
		if key.Group == selfsigned.GroupName && certificate.Spec.IsCA {
			roots = append(roots, certificate)
		}
	}
	tree := &Tree{Roots: []*Certificate{}, issuedBy: b.issuedBy}
	for _, root := range sorted(roots) {
		tree.Roots = append(tree.Roots, b.build(root, map[types.UID]bool{}))
	}
	return tree
}

func (b *builder) addIssuer(object cmapi.GenericIssuer, kind, secretNamespace string) {
	spec := object.GetSpec()
	if spec.CA == nil {
		return
	}
	issuer := &Issuer{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName(), Ready: string(cmmeta.ConditionUnknown)}
	for _, condition := range object.GetStatus().Conditions {
		if condition.Type == cmapi.IssuerConditionReady {
			issuer.Ready = string(condition.Status)
		}
	}
	secret := types.NamespacedName{Namespace: secretNamespace, Name: spec.CA.SecretName}
	b.signWith[secret] = append(b.signWith[secret], issuer)
}

// issuerOf returns the issuer that a Certificate names, with cert-manager's defaults.
func issuerOf(certificate *cmapi.Certificate) IssuerKey {
	ref := certificate.Spec.IssuerRef
	key := NewIssuerKey(cmp.Or(ref.Kind, cmapi.IssuerKind), certificate.Namespace, ref.Name)
	key.Group = cmp.Or(ref.Group, cmapi.SchemeGroupVersion.Group)
	return key
}

// build returns a Certificate with all below. A Certificate that is below itself is not repeated.
func (b *builder) build(object *cmapi.Certificate, above map[types.UID]bool) *Certificate {
	issuer := issuerOf(object)
	certificate := &Certificate{
		Namespace: object.Namespace, Name: object.Name, SecretName: object.Spec.SecretName,
		Issuer: issuer.Kind + "/" + issuer.Name, Ready: Condition(object, cmapi.CertificateConditionReady),
		NotAfter: object.Status.NotAfter, Object: object,
	}
	above[object.UID] = true
	defer delete(above, object.UID)
	for _, found := range b.signWith[certificate.secretKey()] {
		issuer := *found
		for _, below := range sorted(b.issuedBy[NewIssuerKey(issuer.Kind, issuer.Namespace, issuer.Name)]) {
			if !above[below.UID] {
				issuer.Certificates = append(issuer.Certificates, b.build(below, above))
			}
		}
		certificate.Issuers = append(certificate.Issuers, &issuer)
	}
	slices.SortFunc(certificate.Issuers, func(a, b *Issuer) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return certificate
}

// Condition returns the status of a condition, or "Unknown".
func Condition(certificate *cmapi.Certificate, kind cmapi.CertificateConditionType) string {
	for _, condition := range certificate.Status.Conditions {
		if condition.Type == kind {
			return string(condition.Status)
		}
	}
	return string(cmmeta.ConditionUnknown)
}

// Title names a Certificate in a message.
func Title(certificate *cmapi.Certificate) string {
	return "Certificate " + certificate.Namespace + "/" + certificate.Name
}

// KeepsKey reports whether a renewal keeps the private key of a Certificate.
func KeepsKey(certificate *cmapi.Certificate) bool {
	return certificate.Spec.PrivateKey != nil && certificate.Spec.PrivateKey.RotationPolicy == cmapi.RotationPolicyNever
}

func sorted(certificates []*cmapi.Certificate) []*cmapi.Certificate {
	return slices.SortedFunc(slices.Values(certificates), func(a, b *cmapi.Certificate) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

// Select keeps only the root with a name, and returns it.
func (t *Tree) Select(key types.NamespacedName) (*Certificate, error) {
	i := slices.IndexFunc(t.Roots, func(root *Certificate) bool { return root.Key() == key })
	if i < 0 {
		return nil, fmt.Errorf("no root %s: name a Certificate with spec.isCA whose spec.issuerRef.group is %s; "+
			"`kubectl selfsigned tree` lists all", key, selfsigned.GroupName)
	}
	root := t.Roots[i]
	t.Roots, t.others = []*Certificate{root}, slices.Delete(t.Roots, i, i+1)
	return root, nil
}

// Below returns the Certificates below a Certificate, each once, in levels: an issuing Certificate is
// in a level before those that it has issued.
func (c *Certificate) Below() [][]*Certificate {
	var levels [][]*Certificate
	seen := map[types.NamespacedName]bool{c.Key(): true}
	for level := []*Certificate{c}; len(level) > 0; {
		var next []*Certificate
		for _, certificate := range level {
			for _, issuer := range certificate.Issuers {
				for _, below := range issuer.Certificates {
					if !seen[below.Key()] {
						seen[below.Key()] = true
						next = append(next, below)
					}
				}
			}
		}
		if len(next) > 0 {
			levels = append(levels, next)
		}
		level = next
	}
	return levels
}

// all returns a Certificate and those below, each once.
func (c *Certificate) all() []*Certificate {
	return append([]*Certificate{c}, slices.Concat(c.Below()...)...)
}

// Secrets returns the names of the Secrets in the tree, and of those of all CAs.
func (t *Tree) Secrets() []types.NamespacedName {
	var names []types.NamespacedName
	for _, root := range t.Roots {
		for _, certificate := range root.all() {
			names = append(names, certificate.secretKey())
		}
	}
	for _, root := range t.others {
		for _, certificate := range root.all() {
			if certificate.Object.Spec.IsCA {
				names = append(names, certificate.secretKey())
			}
		}
	}
	slices.SortFunc(names, compareKeys)
	return slices.Compact(names)
}

func compareKeys(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
