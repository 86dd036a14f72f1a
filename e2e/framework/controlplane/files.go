// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
)

// auditPolicy records metadata, but no bodies, because they can contain Secrets.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
`

// file names, below the cluster's directory
const (
	caFile            = "ca.crt"
	servingCertFile   = "kube-apiserver.crt"
	servingKeyFile    = "kube-apiserver.key"
	serviceAccountKey = "service-account.key"
	serviceAccountPub = "service-account.pub"
	auditPolicyFile   = "audit-policy.yaml"
	etcdSocket        = "etcd.sock:0"
	etcdPeerSocket    = "etcd-peer.sock:0"
	etcdData          = "etcd"
	logDirectory      = "logs"
	auditLogFile      = logDirectory + "/audit.log"
)

// writeFiles writes certificates, keys and the audit policy.
func (c *ControlPlane) writeFiles() error {
	serving, err := c.ca.serving()
	if err != nil {
		return err
	}
	tokenKey, err := newKey()
	if err != nil {
		return err
	}
	tokenPrivate, err := encodePrivateKey(tokenKey)
	if err != nil {
		return err
	}
	tokenPublic, err := x509.MarshalPKIXPublicKey(tokenKey.Public())
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		caFile:            c.ca.pem(),
		servingCertFile:   serving.cert,
		servingKeyFile:    serving.key,
		serviceAccountKey: tokenPrivate,
		serviceAccountPub: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: tokenPublic}),
		auditPolicyFile:   []byte(auditPolicy),
	} {
		if err := os.WriteFile(c.path(name), content, 0o600); err != nil {
			return err
		}
	}
	return os.Mkdir(c.LogDir(), 0o700)
}

func (c *ControlPlane) path(name string) string { return filepath.Join(c.dir, name) }
