// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/expect"
)

// TestAccess checks authentication and authorization, in one cluster with all options.
func TestAccess(t *testing.T) {
	t.Parallel()
	c := start(t, Options{ControllerManager: true, AuditLog: true})
	t.Run("user", func(t *testing.T) { testUser(t, c) })
	t.Run("ServiceAccount", func(t *testing.T) { testServiceAccount(t, c) })
	t.Run("controllers", func(t *testing.T) { testControllers(t, c) })
	t.Run("audit log", func(t *testing.T) { testAuditLog(t, c) })
	t.Run("metrics", func(t *testing.T) { testMetrics(t, c) })
}

func testUser(t *testing.T, c *ControlPlane) {
	config, kubeconfig, err := c.AddUser("jane", "developers")
	if err != nil {
		t.Fatal(err)
	}
	for _, client := range []kubernetes.Interface{clientFor(t, config), clientFromFile(t, kubeconfig)} {
		user := whoIs(t, client)
		if user.Username != "jane" || !slices.Contains(user.Groups, "developers") {
			t.Errorf("authenticated as %+v", user)
		}
		if err := listSecrets(t, client); !apierrors.IsForbidden(err) {
			t.Errorf("listing Secrets without permission: %v", err)
		}
	}
	if err := listSecrets(t, clientFromFile(t, c.AdminKubeconfig())); err != nil {
		t.Errorf("the administrator: %v", err)
	}
}

func testServiceAccount(t *testing.T, c *ControlPlane) {
	admin := clientFor(t, c.AdminConfig())
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "robot"}}
	if _, err := admin.CoreV1().ServiceAccounts("default").Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := c.ServiceAccountKubeconfig(t.Context(), "default", "robot")
	if err != nil {
		t.Fatal(err)
	}
	client := clientFromFile(t, kubeconfig)
	if user := whoIs(t, client); user.Username != "system:serviceaccount:default:robot" {
		t.Errorf("authenticated as %+v", user)
	}
	if err := listSecrets(t, client); !apierrors.IsForbidden(err) {
		t.Errorf("listing Secrets without permission: %v", err)
	}

	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "robot"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "default", Name: "robot"}},
	}
	if _, err := admin.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	expect.Eventually(t, "listing Secrets with a permission", time.Minute, func(context.Context) error { return listSecrets(t, client) })

	// The token is read from its file.
	if err := os.WriteFile(kubeconfig+".token", []byte("expired"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := listSecrets(t, clientFromFile(t, kubeconfig)); !apierrors.IsUnauthorized(err) {
		t.Errorf("with an invalid token: %v", err)
	}
}

func testControllers(t *testing.T, c *ControlPlane) {
	admin := clientFor(t, c.AdminConfig())
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "short-lived"}}
	if _, err := admin.CoreV1().Namespaces().Create(t.Context(), namespace, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := admin.CoreV1().Namespaces().Delete(t.Context(), namespace.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	expect.Eventually(t, "deletion of the namespace", time.Minute, func(context.Context) error {
		_, err := admin.CoreV1().Namespaces().Get(t.Context(), namespace.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("the namespace is still there (%w)", err)
	})
	expect.Eventually(t, "aggregation", time.Minute, func(context.Context) error {
		role, err := admin.RbacV1().ClusterRoles().Get(t.Context(), "view", metav1.GetOptions{})
		if err == nil && len(role.Rules) == 0 {
			return fmt.Errorf("nothing was aggregated to %s", role.Name)
		}
		return err
	})
}

func testAuditLog(t *testing.T, c *ControlPlane) {
	if err := listSecrets(t, clientFor(t, c.AdminConfig())); err != nil {
		t.Fatal(err)
	}
	expect.Eventually(t, "the audit log", time.Minute, func(context.Context) error {
		log, err := os.ReadFile(c.AuditLogPath())
		if err == nil && !bytes.Contains(log, []byte(`"requestURI":"/api/v1/secrets","verb":"list","user":{"username":"admin"`)) {
			return errors.New("the audit log does not have the request")
		}
		return err
	})
}

func testMetrics(t *testing.T, c *ControlPlane) {
	metrics, err := c.Get(t.Context(), "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(metrics, []byte("apiserver_request_total{")) {
		t.Error("no apiserver_request_total in the metrics")
	}
	if _, err := c.Get(t.Context(), "/no-such-path"); err == nil {
		t.Error("no error for a path that does not exist")
	}
}

func whoIs(t *testing.T, client kubernetes.Interface) authenticationv1.UserInfo {
	t.Helper()
	review, err := client.AuthenticationV1().SelfSubjectReviews().
		Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.UserInfo
}

func listSecrets(t *testing.T, client kubernetes.Interface) error {
	t.Helper()
	_, err := client.CoreV1().Secrets("").List(t.Context(), metav1.ListOptions{})
	return err
}
