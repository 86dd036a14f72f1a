// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"time"

	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/plugin"
	"github.com/cert-manager/selfsigned-issuer/e2e/process"
)

// The contestants.
const (
	Floor         = "floor"
	WriteAlone    = "write alone"
	InTreeDefault = "in-tree, default flags"
	InTreeTuned   = "in-tree, tuned"
	Plugin        = "selfsigned-issuer"
)

// contestant signs requests.
type contestant interface {
	name() string
	issuer() cmmeta.IssuerReference
	// start makes it sign, and returns when it has seen all requests.
	start(context.Context, *batch) (signer, error)
	stop() error
}

// signer is a contestant that runs.
type signer struct {
	started time.Time
	process *process.Process // nil when it is the benchmark itself
}

func signerIn(p *process.Process) signer { return signer{p.Started(), p} }

const stopTimeout = 20 * time.Second

// inTree is cert-manager's SelfSigned issuer in a process of its own.
type inTree struct {
	*bench
	title   string
	options certmanager.Options
	running *certmanager.Installation
}

const inTreeController = "certificaterequests-issuer-selfsigned"

func (b *bench) inTreeDefault() contestant {
	return &inTree{bench: b, title: InTreeDefault}
}

func (b *bench) inTreeTuned() contestant {
	return &inTree{bench: b, title: InTreeTuned, options: certmanager.Options{QPS: 5000, Burst: 5000, Workers: 20}}
}

func (s *inTree) name() string { return s.title }

func (s *inTree) issuer() cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "ClusterIssuer", Name: issuerName}
}

func (s *inTree) start(ctx context.Context, _ *batch) (signer, error) {
	options := s.options
	options.Report = s.Report
	options.WebhookElsewhere = true
	options.Controllers = []string{inTreeController}
	var err error
	if s.running, err = certmanager.New(ctx, s.cluster, options); err != nil {
		return signer{}, err
	}
	if err := s.running.Start(ctx); err != nil {
		return signer{}, err
	}
	return signerIn(s.running.Process("cert-manager")), nil
}

func (s *inTree) stop() error {
	if s.running == nil {
		return nil
	}
	return s.running.Stop()
}

// ours is the plugin's real binary with the arguments that the default overlay gives it.
type ours struct {
	*bench
	running *plugin.Plugin
}

func (b *bench) plugin() contestant { return &ours{bench: b} }

func (s *ours) name() string { return Plugin }

func (s *ours) issuer() cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "ClusterSelfSignedIssuer", Name: issuerName}
}

func (s *ours) start(ctx context.Context, _ *batch) (signer, error) {
	var err error
	if s.running, err = s.installation.Start(ctx, s.binary, "selfsigned-issuer"); err != nil {
		return signer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.running.AwaitReady(ctx); err != nil {
		return signer{}, err
	}
	return signerIn(s.running.Process), nil
}

func (s *ours) stop() error {
	if s.running == nil {
		return nil
	}
	return s.running.Stop(stopTimeout)
}
