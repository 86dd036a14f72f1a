// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"maps"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

const (
	approver     = "cert-manager-controller-approve:selfsigned-cert-manager-io"
	ourSigners   = "[selfsignedissuers.selfsigned.cert-manager.io/* clusterselfsignedissuers.selfsigned.cert-manager.io/*]"
	manager      = "ClusterRole/selfsigned-issuer-manager"
	csrComponent = "ClusterRole/selfsigned-issuer-kubernetes-csrs"
)

// defaultPermissions are all permissions of the default overlay.
var defaultPermissions = map[string][]string{
	manager: {
		"selfsigned.cert-manager.io/selfsignedissuers [list watch]",
		"selfsigned.cert-manager.io/clusterselfsignedissuers [list watch]",
		"selfsigned.cert-manager.io/selfsignedissuers/status [patch]",
		"selfsigned.cert-manager.io/clusterselfsignedissuers/status [patch]",
		"cert-manager.io/certificaterequests [list watch]",
		"cert-manager.io/certificaterequests/status [patch]",
		"/secrets [get list watch]",
		"events.k8s.io/events [create]",
	},
	"Role/selfsigned-issuer-leader-election": {
		"coordination.k8s.io/leases [create]",
		"coordination.k8s.io/leases[selfsigned-issuer.selfsigned.cert-manager.io] [get update]",
		"/events [create]",
	},
	"ClusterRole/" + approver: {
		"cert-manager.io/signers" + ourSigners + " [approve]",
	},
	"ClusterRole/selfsigned-issuer-view": {
		"selfsigned.cert-manager.io/selfsignedissuers [get list watch]",
		"selfsigned.cert-manager.io/clusterselfsignedissuers [get list watch]",
	},
	"ClusterRole/selfsigned-issuer-edit": {
		"selfsigned.cert-manager.io/selfsignedissuers [create delete deletecollection patch update]",
	},
}

var csrPermissions = []string{
	"certificates.k8s.io/certificatesigningrequests [list watch]",
	"certificates.k8s.io/certificatesigningrequests/status [patch]",
	"certificates.k8s.io/signers" + ourSigners + " [sign]",
	"authorization.k8s.io/subjectaccessreviews [create]",
}

// metricsPermissions are those of the component metrics-tls.
var metricsPermissions = map[string][]string{
	"ClusterRole/selfsigned-issuer-metrics-review": {
		"authentication.k8s.io/tokenreviews [create]",
		"authorization.k8s.io/subjectaccessreviews [create]",
	},
	metricsReader: {"/metrics [get]"},
}

// ofReader are the binding and the account for Prometheus in the component metrics-tls.
const ofReader = "ClusterRoleBinding/selfsigned-issuer-metrics-reader"

func TestPermissions(t *testing.T) {
	withMetrics := maps.Clone(defaultPermissions)
	maps.Copy(withMetrics, metricsPermissions)
	withCSRs := maps.Clone(defaultPermissions)
	withCSRs[csrComponent] = csrPermissions
	withoutWatch := maps.Clone(defaultPermissions)
	withoutWatch[manager] = slices.Clone(defaultPermissions[manager])
	withoutWatch[manager][slices.Index(withoutWatch[manager], "/secrets [get list watch]")] = "/secrets [get]"
	withoutApprover := maps.Clone(defaultPermissions)
	delete(withoutApprover, "ClusterRole/"+approver)
	withNamespaces := maps.Clone(namespacedPermissions)
	for _, role := range []string{"ClusterRole/" + approver, "ClusterRole/selfsigned-issuer-view", "ClusterRole/selfsigned-issuer-edit"} {
		withNamespaces[role] = defaultPermissions[role]
	}
	for installation, want := range map[string]map[string][]string{
		issuer.DefaultOverlay:     defaultPermissions,
		issuer.DevelopmentOverlay: defaultPermissions,
		otherCertManager:          defaultPermissions,
		issuer.ProductionOverlay:  defaultPermissions,
		adjusted:                  defaultPermissions,
		metricsTLS:                withMetrics,
		issuer.NamespacedOverlay:  withNamespaces,
		kubernetesCSR:             withCSRs,
		noSecretWatch:             withoutWatch,
		noApproverRole:            withoutApprover,
	} {
		expect.Equal(t, installation+": permissions", want, permissions(render(t, installation)))
	}
}

func TestNoWildcards(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		for id, list := range rules(objects) {
			for _, rule := range list {
				named := slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.ResourceNames)
				expect.True(t, !slices.Contains(named, "*") && (len(rule.NonResourceURLs) == 0 || id == metricsReader),
					"%s has a wildcard or a URL: %v", id, rule)
			}
		}
	})
}

// A binding to a role or an account that does not exist grants nothing, silently.
func TestBindings(t *testing.T) {
	forEach(t, func(t *testing.T, objects rendered) {
		for id, b := range bindings(objects) {
			expect.True(t, objects[b.role.Kind+"/"+b.role.Name] != nil, "%s binds %v, which does not exist", id, b.role)
			if id == "ClusterRoleBinding/"+approver || id == ofReader {
				continue // see TestApproverIsCertManager and TestTransformed
			}
			want := []rbacv1.Subject{{Kind: "ServiceAccount", Name: name, Namespace: namespace}}
			expect.Equal(t, id+" has other subjects", want, b.subjects)
		}
	})
}

func TestApproverIsCertManager(t *testing.T) {
	for installation, want := range map[string]rbacv1.Subject{
		issuer.DefaultOverlay: {Kind: "ServiceAccount", Name: "cert-manager", Namespace: "cert-manager"},
		kubernetesCSR:         {Kind: "ServiceAccount", Name: "cert-manager", Namespace: "cert-manager"},
		otherCertManager:      {Kind: "ServiceAccount", Name: "my-cert-manager", Namespace: "my-namespace"},
	} {
		got := bindings(render(t, installation))["ClusterRoleBinding/"+approver].subjects
		expect.Equal(t, installation+": approvers", []rbacv1.Subject{want}, got)
	}
}

// Kubernetes aggregates these roles to its roles in the label.
func TestAggregation(t *testing.T) {
	objects := render(t, issuer.DefaultOverlay)
	for _, role := range []string{"view", "edit"} {
		label := "rbac.authorization.k8s.io/aggregate-to-" + role
		got := get[*rbacv1.ClusterRole](t, objects, "ClusterRole/"+name+"-"+role).Labels[label]
		expect.Equal(t, "label "+label, "true", got)
	}
}
