// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package rbac

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
)

// permission is one verb on one resource in a namespace, or in all if it is empty.
type permission struct{ namespace, resource, verb string }

func (p permission) String() string {
	where := " in all namespaces"
	if p.namespace != "" {
		where = " in " + p.namespace
	}
	return p.verb + " " + p.resource + where
}

// signing is checked by the API server for a write of the certificate of a Kubernetes CSR, so it is
// not in the audit log.
var signing = permission{resource: "certificates.k8s.io/signers", verb: "sign"}

// grant is one rule of a role, in the namespace of its binding, or in all.
type grant struct {
	namespace string
	rule      rbacv1.PolicyRule
}

// grantsOf returns what the installation's roles grant to the account of its process.
func grantsOf(t *testing.T, installed *issuer.Installation) []grant {
	t.Helper()
	roles := map[string][]rbacv1.PolicyRule{}
	for _, role := range objectsOf[rbacv1.ClusterRole](t, installed, "ClusterRole") {
		roles["/"+role.Name] = role.Rules
	}
	for _, role := range objectsOf[rbacv1.Role](t, installed, "Role") {
		roles[role.Namespace+"/"+role.Name] = role.Rules
	}
	var grants []grant
	add := func(namespace, role string) {
		for _, rule := range roles[namespace+"/"+role] {
			grants = append(grants, grant{namespace, rule})
		}
	}
	for _, binding := range objectsOf[rbacv1.ClusterRoleBinding](t, installed, "ClusterRoleBinding") {
		if binding.Subjects[0].Name == installed.Deployment.Spec.Template.Spec.ServiceAccountName {
			add("", binding.RoleRef.Name)
		}
	}
	for _, binding := range objectsOf[rbacv1.RoleBinding](t, installed, "RoleBinding") {
		add(binding.Namespace, binding.RoleRef.Name)
	}
	return grants
}

func objectsOf[T any](t *testing.T, installation *issuer.Installation, kind string) []T {
	t.Helper()
	var found []T
	for _, object := range installation.Objects {
		if object.GetKind() != kind {
			continue
		}
		var typed T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &typed); err != nil {
			t.Fatal(err)
		}
		found = append(found, typed)
	}
	return found
}

func flatten(grants []grant) []permission {
	var flat []permission
	for _, g := range grants {
		for _, group := range g.rule.APIGroups {
			for _, resource := range g.rule.Resources {
				for _, verb := range g.rule.Verbs {
					flat = append(flat, permission{g.namespace, group + "/" + resource, verb})
				}
			}
		}
	}
	return flat
}

// auditEvent has the relevant fields of a line in the audit log.
type auditEvent struct {
	Verb      string
	User      struct{ Username string }
	ObjectRef *struct{ Resource, Subresource, Namespace, APIGroup string }

	ResponseStatus struct{ Code int }
}

func (e auditEvent) permission() permission {
	resource := e.ObjectRef.APIGroup + "/" + e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	return permission{e.ObjectRef.Namespace, resource, e.Verb}
}

// auditLog reads new lines of the audit log.
type auditLog struct {
	reader *bufio.Reader
	begun  []byte // of an incomplete line
}

func openAuditLog(t *testing.T) *auditLog {
	t.Helper()
	file, err := os.Open(env.ControlPlane.AuditLogPath())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		t.Fatal(err)
	}
	return &auditLog{reader: bufio.NewReader(file)}
}

// asked returns the allowed and the denied requests of a user.
func (l *auditLog) asked(t *testing.T, user string) (allowed, denied []permission) {
	t.Helper()
	for {
		line, err := l.reader.ReadBytes('\n')
		l.begun = append(l.begun, line...)
		if errors.Is(err, io.EOF) {
			return allowed, denied
		}
		var event auditEvent
		if err := errors.Join(err, json.Unmarshal(l.begun, &event)); err != nil {
			t.Fatal(err)
		}
		l.begun = nil
		if event.User.Username != user || event.ObjectRef == nil {
			continue // discovery, which all users may read
		}
		if event.ResponseStatus.Code == http.StatusForbidden {
			denied = append(denied, event.permission())
		} else {
			allowed = append(allowed, event.permission())
		}
	}
}

// unused returns the granted permissions that are not used.
func unused(granted, asked []permission) []permission {
	return slices.DeleteFunc(slices.Clone(granted), func(g permission) bool {
		return slices.ContainsFunc(asked, func(a permission) bool {
			return a == g || g.namespace == "" && a.resource == g.resource && a.verb == g.verb
		})
	})
}

// reviewed returns the permissions of a ServiceAccount in a namespace, from a SelfSubjectRulesReview.
func reviewed(t *testing.T, serviceAccount, namespace string) []string {
	t.Helper()
	kubeconfig, err := env.ControlPlane.ServiceAccountKubeconfig(t.Context(), ownHome, serviceAccount)
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	review, err := c.AuthorizationV1().SelfSubjectRulesReviews().Create(t.Context(),
		&authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: namespace}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if review.Status.Incomplete {
		t.Errorf("the review is incomplete: %s", review.Status.EvaluationError)
	}
	var lines []string
	for _, rule := range review.Status.ResourceRules {
		lines = append(lines, ruleLines(rule.APIGroups, rule.Resources, rule.ResourceNames, rule.Verbs)...)
	}
	for _, rule := range review.Status.NonResourceRules {
		lines = append(lines, strings.Join(rule.NonResourceURLs, " ")+" "+strings.Join(rule.Verbs, " "))
	}
	slices.Sort(lines)
	return slices.Compact(lines)
}

func ruleLines(groups, resources, names, verbs []string) []string {
	var lines []string
	for _, group := range groups {
		for _, resource := range resources {
			for _, verb := range verbs {
				lines = append(lines, group+"/"+resource+"["+strings.Join(names, " ")+"] "+verb)
			}
		}
	}
	return lines
}
