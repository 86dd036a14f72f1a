// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"context"

	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
)

// approvalAlone signs nothing: a request counts as ready when it is approved. No signer can be
// faster, as long as requests come from cert-manager's approver.
type approvalAlone struct{ *bench }

func (b *bench) approvalAlone() contestant { return approvalAlone{b} }

func (approvalAlone) name() string { return ApprovalAlone }

func (a approvalAlone) issuer() cmmeta.IssuerReference { return a.plugin().issuer() }

func (approvalAlone) start(context.Context, *batch) (signer, error) { return signer{}, nil }

func (approvalAlone) stop() error { return nil }
