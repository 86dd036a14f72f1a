// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"bytes"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/common/expfmt"
)

// metricsPages renders one page of metrics at a time. Clients that request the same format in the meantime
// share the next page, which limits the memory for many or slow clients.
type metricsPages struct {
	render http.Handler

	mu    sync.Mutex
	pages map[expfmt.Format]*metricsPage
}

type metricsPage struct {
	begun  time.Time
	header http.Header
	status int
	bytes.Buffer
}

func newMetricsPages(metrics prometheus.Gatherer) *metricsPages {
	return &metricsPages{
		// Without compression: its buffers are larger than the page.
		render: promhttp.HandlerFor(metrics, promhttp.HandlerOpts{ErrorHandling: promhttp.HTTPErrorOnError, DisableCompression: true}),
		pages:  map[expfmt.Format]*metricsPage{},
	}
}

func (p *metricsPages) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	page := p.page(request, time.Now())
	maps.Copy(w.Header(), page.header)
	w.WriteHeader(page.status)
	_, _ = w.Write(page.Bytes()) // the client may have disconnected
}

// page returns a page whose rendering began after the request.
func (p *metricsPages) page(request *http.Request, asked time.Time) *metricsPage {
	// The two formats that Prometheus requests.
	format := expfmt.NewFormat(expfmt.TypeTextPlain)
	if expfmt.Negotiate(request.Header).FormatType() == expfmt.TypeProtoDelim {
		format = expfmt.NewFormat(expfmt.TypeProtoDelim)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if page := p.pages[format]; page != nil && page.begun.After(asked) {
		return page
	}
	page := &metricsPage{begun: time.Now(), header: http.Header{}, status: http.StatusOK}
	p.render.ServeHTTP(page, &http.Request{Method: http.MethodGet, URL: &url.URL{}, Header: http.Header{"Accept": {string(format)}}})
	p.pages[format] = page
	return page
}

// Header returns the header.
func (p *metricsPage) Header() http.Header { return p.header }

// WriteHeader stores the status.
func (p *metricsPage) WriteHeader(status int) { p.status = status }
