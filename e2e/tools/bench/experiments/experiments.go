// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package experiments measures selfsigned-issuer and cert-manager's in-tree SelfSigned issuer on one
// real control plane, in turn.
package experiments

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	cmapi "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	selfsigned "github.com/cert-manager/selfsigned-issuer/api/v1alpha1"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/build"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/certmanager"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/environment"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/issuer"
	"github.com/cert-manager/selfsigned-issuer/e2e/framework/process"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// Options are the parameters of the measurement.
type Options struct {
	Requests    int            // in online and backlog; a fifth in trickle and secret, ten times as many in scale
	Rounds      int            // how often each experiment is run
	Foreign     int            // objects of each kind in foreign
	Before      string         // commit of an earlier version that is measured too; empty: none
	Only        []string       // the experiments to run
	Contestants string         // how the names of the measured contestants begin; empty: all
	Race        bool           // selfsigned-issuer has the race detector, for a test without meaningful values
	Report      build.Reporter // receives progress
}

// bench is one execution of the benchmark.
type bench struct {
	Options
	*environment.Environment
	contents
	current, before version
	results         report.Results
}

// Run runs the experiments. After an error, it returns what was measured before.
func Run(ctx context.Context, options Options) (report.Results, error) {
	b := &bench{Options: options}
	err := inOrder(ctx, b.start, b.createIssuers, b.buildBefore, b.run)
	if b.Environment != nil {
		err = errors.Join(err, b.Stop())
	}
	return b.results, err
}

// inOrder calls all steps until one fails.
func inOrder(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start starts the control plane, and cert-manager's webhook with the controller of ClusterIssuers.
func (b *bench) start(ctx context.Context) (err error) {
	if b.contents, err = newContents(); err != nil {
		return err
	}
	b.Environment, err = environment.Start(ctx, environment.Options{
		Report: b.Report, Race: b.Race, WithoutIssuer: true,
		CertManager: certmanager.Options{Controllers: []string{"clusterissuers"}},
		EtcdArgs:    []string{"--quota-backend-bytes=17179869184"}, // more than 200,000 objects of 8 KiB need
	})
	if err != nil {
		return err
	}
	b.current.binary = b.Binary
	if b.current.installation, err = issuer.Install(ctx, b.ControlPlane, issuer.DefaultOverlay); err != nil {
		return err
	}
	kubernetes, err := b.ControlPlane.Version(ctx)
	b.results.Setup = fmt.Sprintf("%d requests, %d foreign objects of each kind, medians of %d rounds, %d CPUs (%s), %s, "+
		"cert-manager %s, Kubernetes %s, before: %s.", b.Requests, b.Foreign, b.Rounds, runtime.NumCPU(), runtime.GOARCH,
		runtime.Version(), b.CertManager.Version(), kubernetes, cmp.Or(b.Before, "not measured"))
	return err
}

// createIssuers creates a ready issuer of each kind.
func (b *bench) createIssuers(ctx context.Context) error {
	inTree, ours := &cmapi.ClusterIssuer{}, &selfsigned.ClusterSelfSignedIssuer{}
	inTree.Name, ours.Name, inTree.Spec.SelfSigned = issuerName, issuerName, &cmapi.SelfSignedIssuer{}
	if err := errors.Join(b.Client.Create(ctx, inTree), b.Client.Create(ctx, ours)); err != nil {
		return err
	}
	ours.Status.Conditions = []metav1.Condition{
		{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Checked", ObservedGeneration: 1, LastTransitionTime: metav1.Now()},
	}
	return b.Client.Status().Update(ctx, ours)
}

// What is created while the signer runs.
const (
	nothing = iota
	requests
	secrets
)

// experiment is one in which certificates are issued, or one of starts among finished requests.
type experiment struct {
	name        string
	contestants []contestant
	requests    int
	arrival     int
	interval    time.Duration // between two arrivals; 0: as fast as possible
	finished    int           // requests, and as many Secrets
	finishedRef cmmeta.IssuerReference
}

func (b *bench) plan() []experiment {
	const interval = 100 * time.Millisecond
	noWatchList := corev1.EnvVar{Name: "KUBE_FEATURE_WatchListClient", Value: "false"}
	inTree, tuned, issuer := b.inTree(report.InTreeDefault, 0), b.inTree(report.InTreeTuned, tunedWorkers), b.issuer(report.Issuer, b.current)
	ours, starting := []contestant{issuer}, []contestant{inTree, issuer, b.issuer(report.Issuer+report.NoWatchList, b.current, noWatchList)}
	if b.Before != "" {
		ours = append(ours, b.issuer(report.Before, b.before))
		starting = append(starting, ours[1], b.issuer(report.Before+report.NoWatchList, b.before, noWatchList))
	}
	otherRef := cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "ClusterIssuer", Name: "other"}
	return []experiment{
		{name: report.Online, contestants: append([]contestant{b.approvalOnly(), inTree, tuned}, ours...), requests: b.Requests, arrival: requests},
		{name: report.Backlog, contestants: append([]contestant{b.floor(), inTree, tuned}, ours...), requests: b.Requests},
		{name: report.Scale, contestants: []contestant{issuer}, requests: b.Requests * 10},
		{name: report.Trickle, contestants: append([]contestant{inTree, tuned}, ours...), requests: b.Requests / 5, arrival: requests, interval: interval},
		{name: report.Secret, contestants: append([]contestant{tuned}, ours...), requests: b.Requests / 5, arrival: secrets, interval: interval},
		{name: report.Empty, contestants: starting, finished: 1, finishedRef: otherRef},
		{name: report.Foreign, contestants: starting, finished: b.Foreign, finishedRef: otherRef},
		{name: report.Own, contestants: starting[1:], finished: b.Foreign, finishedRef: ownRef},
	}
}

// run measures the contestants in turn, in each round.
func (b *bench) run(ctx context.Context) error {
	for _, e := range b.plan() {
		if !slices.Contains(b.Only, e.name) && (e.finished == 0 || !slices.Contains(b.Only, report.Foreign)) {
			continue
		}
		measure := b.measure
		if e.finished > 0 {
			measure = b.measureStart
			if err := b.fill(ctx, e.finished, e.finishedRef); err != nil {
				return err
			}
		}
		e.contestants = slices.DeleteFunc(slices.Clone(e.contestants), func(c contestant) bool { return !strings.HasPrefix(c.name, b.Contestants) })
		for i := range b.Rounds * len(e.contestants) {
			c := e.contestants[i%len(e.contestants)]
			ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
			values, err := measure(ctx, e, c)
			cancel()
			if err != nil {
				return fmt.Errorf("%s, %s: %w", e.name, c.name, err)
			}
			b.results.Runs = append(b.results.Runs, report.Run{Experiment: e.name, Contestant: c.name, Values: values})
			b.Report.Printf("%s, %s: %v", e.name, c.name, values)
		}
	}
	return nil
}

// contestant signs requests for an issuer.
type contestant struct {
	name      string
	issuerRef cmmeta.IssuerReference
	start     func(context.Context, *batch) (signer, error) // returns when it is ready
}

// signer is a running contestant.
type signer struct {
	started time.Time
	process *process.Process // nil: the benchmark itself
	stop    func() error
}

const issuerName = "benchmark"

var (
	inTreeRef = cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "ClusterIssuer", Name: issuerName}
	ownRef    = cmmeta.IssuerReference{Group: selfsigned.GroupName, Kind: "ClusterSelfSignedIssuer", Name: issuerName}
)

// tunedWorkers is how cert-manager is configured for bursts. As the API server has API Priority and
// Fairness enabled, cert-manager has no client-side rate limit.
const tunedWorkers = 20

// inTree is the approver and the in-tree issuers in one process; 0 workers are the default.
func (b *bench) inTree(name string, workers int) contestant {
	return contestant{name, inTreeRef, func(ctx context.Context, _ *batch) (signer, error) {
		installation, err := certmanager.New(ctx, b.ControlPlane, certmanager.Options{
			WebhookElsewhere: true, Controllers: []string{"certificaterequests-*"}, Workers: workers,
		})
		if err != nil {
			return signer{}, err
		}
		if err := installation.Start(ctx); err != nil {
			return signer{}, err
		}
		p := installation.Process("cert-manager")
		return signer{p.Started(), p, installation.Stop}, nil
	}}
}

// version is a program of selfsigned-issuer with its manifests.
type version struct {
	binary       string
	installation *issuer.Installation
}

// issuer is selfsigned-issuer with the arguments, environment and permissions of its default overlay.
func (b *bench) issuer(name string, v version, environment ...corev1.EnvVar) contestant {
	return contestant{name, ownRef, func(ctx context.Context, _ *batch) (signer, error) {
		installation := *v.installation
		installation.Deployment = *v.installation.Deployment.DeepCopy()
		container := &installation.Deployment.Spec.Template.Spec.Containers[0]
		container.Env = append(container.Env, environment...)
		replica, err := installation.Start(ctx, v.binary, "selfsigned-issuer")
		if err != nil {
			return signer{}, err
		}
		return signer{replica.Started(), replica.Process, func() error { return replica.Stop(20 * time.Second) }}, replica.AwaitReady(ctx)
	}}
}

// buildBefore builds the program of an earlier commit, and renders its manifests.
func (b *bench) buildBefore(ctx context.Context) error {
	if b.Before == "" {
		return nil
	}
	var err error
	b.before.binary, b.before.installation, err = issuer.Earlier(ctx, b.ControlPlane, b.Before, build.Issuer(), b.Report)
	return err
}

var fromWatchCache = &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}}

func inProcess() signer { return signer{time.Now(), nil, func() error { return nil }} }

// approvalOnly signs nothing: a request counts as ready when cert-manager has approved it.
func (b *bench) approvalOnly() contestant {
	return contestant{report.Approval, ownRef, func(context.Context, *batch) (signer, error) { return inProcess(), nil }}
}

// floor sends the same requests to the API server as selfsigned-issuer does, and nothing else: it
// watches nothing, and makes no certificates.
func (b *bench) floor() contestant {
	return contestant{report.Floor, ownRef, func(ctx context.Context, p *batch) (signer, error) {
		issued := p.approved.DeepCopy()
		issue(issued, b.certificate)
		patch, err := json.Marshal(map[string]any{"status": issued.Status})
		if err != nil {
			return signer{}, err
		}
		started := inProcess()
		return started, concurrently(ctx, p.requests, 0, func(ctx context.Context, i int) error {
			request := b.newRequest(p.namespace, i, ownRef)
			err := errors.Join(b.Client.Get(ctx, client.ObjectKeyFromObject(request), &corev1.Secret{}, fromWatchCache),
				b.Client.Status().Patch(ctx, request, client.RawPatch(types.MergePatchType, patch)))
			event := &eventsv1.Event{
				Type: corev1.EventTypeNormal, Action: "Sign", Reason: "CertificateIssued", Note: issued.Status.Conditions[1].Message,
				ReportingController: selfsigned.GroupName, ReportingInstance: "floor", EventTime: metav1.NowMicro(),
				Regarding: corev1.ObjectReference{
					APIVersion: "cert-manager.io/v1", Kind: "CertificateRequest", Namespace: p.namespace, Name: request.Name, UID: request.UID,
				},
			}
			event.Namespace, event.Name = p.namespace, request.Name+".floor"
			return errors.Join(err, b.Client.Create(ctx, event))
		})
	}}
}
