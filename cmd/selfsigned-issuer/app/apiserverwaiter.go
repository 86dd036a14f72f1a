// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
)

const (
	// discoveryTimeout limits one request to the API server.
	discoveryTimeout = 10 * time.Second

	// discoveryInterval is the time between two requests.
	discoveryInterval = 2 * time.Second
)

// apiServerWaiter waits until the API server is available.
type apiServerWaiter struct {
	client  discovery.DiscoveryInterface
	address *url.URL
	probes  *probes
	logger  logr.Logger
	proxy   func(*http.Request) (*url.URL, error)

	reported string // the reason in the log
	limit    rate.Sometimes
}

// newAPIServerWaiter returns an error for an invalid address or invalid credentials.
func newAPIServerWaiter(config *rest.Config, probes *probes, logger logr.Logger) (*apiServerWaiter, error) {
	config = rest.CopyConfig(config)
	config.Timeout = discoveryTimeout
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("no access to an API server at %q: %w", config.Host, err)
	}
	address, _, err := rest.DefaultServerUrlFor(config)
	if err != nil || !isAddress(address) {
		return nil, fmt.Errorf("no access to an API server at %q: must be https://HOST:PORT", config.Host)
	}
	w := &apiServerWaiter{client: client, address: address, probes: probes, logger: logger, proxy: config.Proxy}
	if w.proxy == nil { // as in client-go
		w.proxy = utilnet.NewProxierWithNoProxyCIDR(http.ProxyFromEnvironment)
	}
	w.limit = rate.Sometimes{Interval: repeatedLogInterval}
	return w, nil
}

func isAddress(address *url.URL) bool {
	if address.Scheme != "https" && address.Scheme != "http" || address.Hostname() == "" {
		return false
	}
	_, err := strconv.ParseUint(address.Port(), 10, 16)
	return err == nil || address.Port() == ""
}

// wait returns when the API server has answered or ctx has ended. Every failure can be temporary: a network,
// a mesh or DNS that starts later, or a credential or a CA that is being replaced.
func (w *apiServerWaiter) wait(ctx context.Context) {
	err := wait.PollUntilContextCancel(ctx, discoveryInterval, true, func(ctx context.Context) (bool, error) {
		err := w.client.RESTClient().Get().AbsPath("/version").MaxRetries(0).Do(ctx).Error()
		if err == nil || apierrors.IsForbidden(err) { // the API server is available
			return true, nil
		}
		w.report(err)
		return false, nil
	})
	if err == nil && w.reported != "" {
		w.logger.Info("The API server is available")
	}
	w.probes.setNotReady(errors.New("starting"))
}

// report sets the reason in the readiness check, and logs it if it has changed.
func (w *apiServerWaiter) report(err error) {
	reason := err.Error() + w.proxyHint()
	w.probes.setNotReady(errors.New("waiting for the API server: " + reason))
	if reason == w.reported {
		return
	}
	w.limit.Do(func() { // a reason can contain the port of the connection, which differs each time
		w.logger.Info("Not ready: waiting for the API server: " + reason)
		w.reported = reason
	})
}

// proxyHint names the proxy, which is a frequent cause.
func (w *apiServerWaiter) proxyHint() string {
	proxy, err := w.proxy(&http.Request{URL: w.address})
	if err != nil || proxy == nil {
		return ""
	}
	return fmt.Sprintf("; connections go through the proxy %s: to connect directly, add %s to NO_PROXY", proxy.Redacted(), w.address.Hostname())
}
