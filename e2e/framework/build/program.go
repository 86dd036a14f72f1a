// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Program describes how a program is built.
type Program struct {
	// Name is the name of the program's file.
	Name string
	// directory of its module, below the repository's root
	directory string
	// Go package to build, as seen from the module
	pkg string
	// module with the version of the program, and the linker variables for it, as the project's
	// release build sets them with -X
	versionModule string
	versionVars   []string
	// alternative to go.mod, with its build tags
	modfile, tags string
	// duration of the first build on 2 cores, without downloads
	coldBuild string
	// built from files that are not pinned
	workingTree bool
	// built with the race detector
	race bool
	// part of what setup-envtest installs, which is used instead
	envtest bool
	// an installed program of this name is used
	fromPath bool
}

const kubernetesDirectory = "e2e/versions/kubernetes"

const (
	// certManagerEnv names a minor version of cert-manager, such as v1.20. Each but the newest
	// has a file of that name with the suffix .mod in e2e/versions/certmanager.
	certManagerEnv    = "CERT_MANAGER"
	certManagerModule = "github.com/cert-manager/cert-manager"
)

var kubernetesVersionVars = []string{
	"k8s.io/component-base/version.gitVersion",
	"k8s.io/client-go/pkg/version.gitVersion",
}

// Etcd is the store of the control plane.
func Etcd() Program {
	return Program{
		Name: "etcd", directory: kubernetesDirectory, pkg: "go.etcd.io/etcd/server/v3",
		versionModule: "go.etcd.io/etcd/server/v3",
		coldBuild:     "a minute", envtest: true,
	}
}

// KubeAPIServer is the Kubernetes API server.
func KubeAPIServer() Program {
	return kubernetes("kube-apiserver", "4 minutes", Program{envtest: true})
}

// KubeControllerManager runs the controllers of Kubernetes.
func KubeControllerManager() Program {
	return kubernetes("kube-controller-manager", "a minute", Program{})
}

// Kubectl is taken from the PATH, if possible.
func Kubectl() Program {
	return kubernetes("kubectl", "half a minute", Program{envtest: true, fromPath: true})
}

// SetupEnvtest installs the programs of the control plane.
func SetupEnvtest() Program {
	const module = "sigs.k8s.io/controller-runtime/tools/setup-envtest"
	return Program{
		Name: "setup-envtest", directory: "e2e/versions/envtest", pkg: module, versionModule: module,
		coldBuild: "10 seconds",
	}
}

func kubernetes(name, coldBuild string, p Program) Program {
	p.Name, p.coldBuild = name, coldBuild
	p.directory, p.pkg = kubernetesDirectory, "k8s.io/kubernetes/cmd/"+name
	p.versionModule, p.versionVars = "k8s.io/kubernetes", kubernetesVersionVars
	return p
}

// CertManager has the controllers and the webhook of cert-manager in one program, at the newest
// supported minor version or that in CERT_MANAGER.
func CertManager() Program {
	p := Program{
		Name: "cert-manager", directory: "e2e/versions/certmanager", pkg: ".",
		versionModule: certManagerModule,
		versionVars:   []string{certManagerModule + "/pkg/util.AppVersion"},
		coldBuild:     "a minute",
	}
	if minor := os.Getenv(certManagerEnv); minor != "" && minor != CertManagerMinors()[0] {
		p.modfile, p.tags = minor+".mod", "certmanager_"+strings.ReplaceAll(minor, ".", "_")
		p.coldBuild = "2 minutes" // it shares few packages with the other programs
	}
	return p
}

// CertManagerMinors returns the minor versions of cert-manager that are pinned, the newest first.
func CertManagerMinors() []string {
	minors := []string{""}
	root, err := Root()
	if err != nil {
		return minors
	}
	directory := filepath.Join(root, "e2e", "versions", "certmanager")
	if content, err := os.ReadFile(filepath.Join(directory, "go.mod")); err == nil {
		if found := regexp.MustCompile(certManagerModule + ` (v\d+\.\d+)`).FindSubmatch(content); found != nil {
			minors[0] = string(found[1])
		}
	}
	older, _ := filepath.Glob(filepath.Join(directory, "v*.mod")) // the pattern is valid
	for _, file := range older {
		minors = append(minors, strings.TrimSuffix(filepath.Base(file), ".mod"))
	}
	return minors
}

// ModfileFlags select the go.mod of the program, if its module has several.
func (p Program) ModfileFlags() []string {
	if p.modfile == "" {
		return nil
	}
	return []string{"-modfile=" + p.modfile}
}

// TrustManager is trust-manager, its controllers and its webhook.
func TrustManager() Program {
	return Program{
		Name: "trust-manager", directory: "e2e/versions/trustmanager", pkg: ".",
		versionModule: "github.com/cert-manager/trust-manager",
		coldBuild:     "3 minutes",
	}
}

// Issuer is selfsigned-issuer, with the version from git.
func Issuer() Program {
	return Program{
		Name: "selfsigned-issuer", directory: ".", pkg: "./cmd/selfsigned-issuer",
		workingTree: true,
	}
}

// IssuerRace is selfsigned-issuer with the race detector, which needs a C compiler.
func IssuerRace() Program {
	p := Issuer()
	p.race = true
	return p
}
