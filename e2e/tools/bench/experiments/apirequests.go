// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package experiments

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/cert-manager/selfsigned-issuer/e2e/framework/controlplane"
	"github.com/cert-manager/selfsigned-issuer/e2e/tools/bench/report"
)

// apiRequest is a kind of request to the API server.
type apiRequest struct{ verb, resource string }

// apiRequests are how many of each there were.
type apiRequests map[apiRequest]float64

// requestTotal is the API server's own count. It does not say who asked.
const requestTotal = "apiserver_request_total"

func readAPIRequests(ctx context.Context, c *controlplane.ControlPlane) (apiRequests, error) {
	metrics, err := c.Get(ctx, "/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(bytes.NewReader(metrics))
	if err != nil {
		return nil, fmt.Errorf("the API server's metrics: %w", err)
	}
	requests := apiRequests{}
	for _, metric := range families[requestTotal].GetMetric() {
		request := apiRequestOf(metric)
		if request.resource != "" && !background(request) {
			requests[request] += metric.GetCounter().GetValue()
		}
	}
	return requests, nil
}

func apiRequestOf(metric *dto.Metric) apiRequest {
	var request apiRequest
	var subresource string
	for _, label := range metric.GetLabel() {
		switch label.GetName() {
		case "verb":
			request.verb = label.GetValue()
		case "resource":
			request.resource = label.GetValue()
		case "subresource":
			subresource = label.GetValue()
		}
	}
	if subresource != "" {
		request.resource += "/" + subresource
	}
	return request
}

// background are requests that do not depend on how many requests are signed, or that
// somebody else than the signer makes: renewals of Leases, the benchmark's making of
// requests and its looking at the number of events, and the webhook's looking at who
// approves.
func background(r apiRequest) bool {
	return r.resource == "leases" ||
		r.verb == "POST" && r.resource == "certificaterequests" ||
		r.verb == "LIST" && r.resource == "events" ||
		strings.HasPrefix(r.resource, "subjectaccessreviews")
}

// What cert-manager's approver asks for to approve a request: it is not the signer's.
var (
	approval      = apiRequest{"PUT", "certificaterequests/status"}
	approvalEvent = apiRequest{"POST", "events"}
)

func (a apiRequests) since(before apiRequests) apiRequests {
	difference := apiRequests{}
	for request, count := range a {
		if grown := count - before[request]; grown > 0 {
			difference[request] = grown
		}
	}
	return difference
}

func (a apiRequests) without(approvals int) apiRequests {
	if approvals > 0 {
		a[approval] -= float64(approvals)
		a[approvalEvent] -= float64(approvals)
	}
	return a
}

// report adds the counts for each of n certificates to the values.
func (a apiRequests) report(values map[string]float64, n float64) {
	for request, count := range a {
		each := count / n
		if each == 0 {
			continue
		}
		values[report.APIRequest(request.verb, request.resource)] = each
		switch request.verb {
		case "GET", "LIST", "WATCH":
			values[report.Reads] += each
			if request.resource == "secrets" && request.verb == "GET" {
				values[report.SecretReads] += each
			}
		default:
			values[report.Writes] += each
		}
	}
}
