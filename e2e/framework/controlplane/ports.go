// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// Ports come from below the range that Linux (32768 and up) and macOS (49152 and up) take
// for outgoing connections, and below the NodePorts of a cluster on this machine: a port
// must still be free when kube-apiserver comes back to it after a crash. A port that the
// kernel chooses is not safe from that, least of all from the clients that keep trying to
// connect to it.
const firstPort, lastPort = 20000, 29999

// handedOut keeps the clusters of this process from getting the same port. Against other
// processes nothing helps but to try another port when kube-apiserver cannot bind.
var handedOut sync.Map

// FreePort returns a TCP port that nothing listens on at 127.0.0.1, and that this process
// gets only once.
func FreePort() (int, error) {
	for range 1000 {
		port := firstPort + rand.IntN(lastPort-firstPort+1)
		if _, taken := handedOut.LoadOrStore(port, true); taken {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue // in use; it stays marked, which does no harm
		}
		return port, listener.Close()
	}
	return 0, fmt.Errorf("found no free port between %d and %d", firstPort, lastPort)
}
