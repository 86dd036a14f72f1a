// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"testing"
	"time"
)

func TestX(t *testing.T) {
	for range 3 {
		s := time.Now()
		c, err := Start(t.Context(), Options{Report: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		t.Log("up", time.Since(s), c.port)
		t.Log(c.Etcd().Usage())
		t.Log(c.APIServer().Usage())
		if err := c.Stop(); err != nil {
			t.Fatal(err)
		}
	}
	s := time.Now()
	c, err := Start(t.Context(), Options{Report: t.Logf, ControllerManager: true, AuditLog: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("up with kcm", time.Since(s))
	c.MarkFailed()
	t.Log(c.Stop())
}
