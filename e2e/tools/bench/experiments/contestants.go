// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"
	"errors"
	"time"

	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
)

// The contestants.
const (
	Floor         = "floor"
	WriteAlone    = "write alone"
	ApprovalAlone = "approval alone"
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
	beside  *process.Process // cert-manager, where it approves and the signer is another process
}

func signerIn(p *process.Process) signer { return signer{started: p.Started(), process: p} }

const stopTimeout = 20 * time.Second

// inTree is cert-manager's SelfSigned issuer as users have it: in one process with the other
// controllers that cert-manager runs for CertificateRequests. Each of them looks at every
// request for an in-tree issuer, also at those that are for another one's type.
type inTree struct {
	*bench
	title   string
	options certmanager.Options
	running *certmanager.Installation
}

// requestControllers are the approver and the issuers.
const requestControllers = "certificaterequests-*"

// tuned is how cert-manager is set up for bursts.
var tuned = certmanager.Options{QPS: 5000, Burst: 5000, Workers: 20}

func (b *bench) inTreeDefault() contestant {
	return &inTree{bench: b, title: InTreeDefault}
}

func (b *bench) inTreeTuned() contestant {
	return &inTree{bench: b, title: InTreeTuned, options: tuned}
}

func (s *inTree) name() string { return s.title }

func (s *inTree) issuer() cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "ClusterIssuer", Name: issuerName}
}

func (s *inTree) start(ctx context.Context, _ *batch) (signer, error) {
	var err error
	if s.running, err = s.startCertManager(ctx, s.options); err != nil {
		return signer{}, err
	}
	return signerIn(s.running.Process("cert-manager")), nil
}

// startCertManager starts what cert-manager runs for requests; the webhook runs already.
func (b *bench) startCertManager(ctx context.Context, options certmanager.Options) (*certmanager.Installation, error) {
	options.Report = b.Report
	options.WebhookElsewhere = true
	options.Controllers = []string{requestControllers}
	installation, err := certmanager.New(ctx, b.cluster, options)
	if err != nil {
		return nil, err
	}
	return installation, installation.Start(ctx)
}

func (s *inTree) stop() error {
	if s.running == nil {
		return nil
	}
	return s.running.Stop()
}

// approved is a contestant with cert-manager running beside it, which approves. In-tree
// SelfSigned needs none: it approves itself.
type approved struct {
	contestant
	*bench
	certManager *certmanager.Installation
}

func (b *bench) approved(c contestant) contestant { return &approved{contestant: c, bench: b} }

func (s *approved) start(ctx context.Context, batch *batch) (signer, error) {
	var err error
	if s.certManager, err = s.startCertManager(ctx, tuned); err != nil {
		return signer{}, err
	}
	started, err := s.contestant.start(ctx, batch)
	started.beside = s.certManager.Process("cert-manager")
	return started, err
}

func (s *approved) stop() error {
	err := s.contestant.stop()
	if s.certManager != nil {
		err = errors.Join(err, s.certManager.Stop())
	}
	return err
}

// ours is the plugin's real binary with the arguments that the default overlay gives it.
type ours struct {
	*bench
	running *issuer.Replica
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
	ctx, cancel := context.WithTimeout(ctx, timeout)
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
