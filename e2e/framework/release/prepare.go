// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

// Package release writes a version and its registry into the files that contain them.
package release

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Release is a version and where it is published.
type Release struct {
	Version  string // such as v0.1.0
	Registry string // registry and organization, such as ghcr.io/cert-manager
}

// Rehearsal is a version that is never released.
const Rehearsal = "v0.999.0-rehearsal.1"

const (
	name          = "selfsigned-issuer"
	deployment    = "deploy/base/deployment.yaml"
	changelog     = "CHANGELOG.md"
	dockerfile    = "Dockerfile"
	compatibility = "docs/compatibility.md"
)

var (
	// Go does not record v2 and later in programs of this module, whose path has no major version.
	versionPattern  = regexp.MustCompile(`^v[01]\.\d+\.\d+(-[0-9A-Za-z.-]+)?$`)
	registryPattern = regexp.MustCompile(`^[^/\s]+/[^/\s]+$`)
	imagePattern    = regexp.MustCompile(`image: (\S+)/` + name + `:(\S+)`)
)

// chart is the version without the leading v, as charts and the changelog have it.
func (r Release) chart() string { return strings.TrimPrefix(r.Version, "v") }

// Committed returns the release in the manifests below root.
func Committed(root string) (Release, error) {
	content, err := os.ReadFile(filepath.Join(root, deployment))
	if err != nil {
		return Release{}, err
	}
	found := imagePattern.FindSubmatch(content)
	if found == nil {
		return Release{}, fmt.Errorf("%s names no image %s with a tag", deployment, name)
	}
	return Release{Version: string(found[2]), Registry: string(found[1])}, nil
}

// Prepare writes the release into the manifests, the chart, the pages and the changelog below root.
func (r Release) Prepare(root string, date time.Time) error {
	if !versionPattern.MatchString(r.Version) {
		return fmt.Errorf("%q is not a version such as v0.1.0", r.Version)
	}
	if !registryPattern.MatchString(r.Registry) {
		return fmt.Errorf("%q is not a registry and an organization, such as ghcr.io/cert-manager", r.Registry)
	}
	before, err := Committed(root)
	if err != nil {
		return err
	}
	if err := edit(filepath.Join(root, changelog), func(page string) (string, error) { return r.log(page, date) }); err != nil {
		return err
	}
	if err := edit(filepath.Join(root, compatibility), r.addCompatibility); err != nil {
		return err
	}
	for _, directory := range []string{".", "deploy", "docs"} {
		if err := r.replaceBelow(os.DirFS(root), root, directory, before); err != nil {
			return err
		}
	}
	return nil
}

// replaceBelow edits the files in a directory, and in its subdirectories unless it is the root.
func (r Release) replaceBelow(files fs.FS, root, directory string, before Release) error {
	return fs.WalkDir(files, directory, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && directory == "." && path != ".":
			return fs.SkipDir
		case entry.IsDir() || path == changelog || path != dockerfile && !slices.Contains([]string{".md", ".yaml", ".gotmpl", ".txt"}, filepath.Ext(path)):
			return nil
		}
		return edit(filepath.Join(root, path), func(page string) (string, error) { return r.replace(page, before), nil })
	})
}

func edit(path string, change func(string) (string, error)) error {
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	after, err := change(string(before))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if after == string(before) {
		return nil
	}
	return os.WriteFile(path, []byte(after), 0o600)
}

// replace replaces before with r in images, charts, bases of kustomize and addresses of the
// release, but not in text about a version.
func (r Release) replace(page string, before Release) string {
	version := regexp.MustCompile(`(?m)(` + name + `:|\?ref=|refs/tags/|releases/(?:download|tag)/|raw\.githubusercontent\.com/[^/]+/` + name + `/|^appVersion: |^ +(?:tag|targetRevision): )` +
		regexp.QuoteMeta(before.Version) + `($|[^0-9A-Za-z.-])`)
	page = version.ReplaceAllString(page, "${1}"+r.Version+"${2}")
	chart := regexp.MustCompile(`(?m)(--version[= ]|^version: |charts/` + name + `:)` + regexp.QuoteMeta(before.chart()) + `($|[^0-9A-Za-z.-])`)
	page = chart.ReplaceAllString(page, "${1}"+r.chart()+"${2}")
	oldHost, oldOrganization, _ := strings.Cut(before.Registry, "/")
	host, organization, _ := strings.Cut(r.Registry, "/")
	return strings.NewReplacer(
		before.Registry+"/", r.Registry+"/",
		"`"+before.Registry+"`", "`"+r.Registry+"`",
		`github\.com/`+oldOrganization+"/"+name+"/", `github\.com/`+organization+"/"+name+"/",
		"registry: "+oldHost+"\n", "registry: "+host+"\n",
		"repository: "+oldOrganization+"/"+name+"\n", "repository: "+organization+"/"+name+"\n",
		"https://github.com/"+oldOrganization+"/"+name, "https://github.com/"+organization+"/"+name,
		"raw.githubusercontent.com/"+oldOrganization+"/"+name+"/", "raw.githubusercontent.com/"+organization+"/"+name+"/",
		"--repo="+oldOrganization+"/"+name, "--repo="+organization+"/"+name,
	).Replace(page)
}

var unreleasedLink = regexp.MustCompile(`(?m)^\[Unreleased\]: (.*/` + name + `)/(?:commits/main|compare/(v\S+)\.\.\.main)$`)

// log starts a new section of the changelog for the unreleased changes.
func (r Release) log(page string, date time.Time) (string, error) {
	version := r.chart()
	if strings.Contains(page, "\n## ["+version+"]") {
		return "", fmt.Errorf("the changelog has a section for %s already", r.Version)
	}
	const heading = "\n## [Unreleased]\n"
	link := unreleasedLink.FindStringSubmatch(page)
	if strings.Count(page, heading) != 1 || link == nil {
		return "", errors.New("the changelog has no section [Unreleased] with a link")
	}
	page = strings.Replace(page, heading, fmt.Sprintf("%s\n## [%s] - %s\n", heading, version, date.Format(time.DateOnly)), 1)
	changes := link[1] + "/releases/tag/" + r.Version
	if link[2] != "" {
		changes = link[1] + "/compare/" + link[2] + "..." + r.Version
	}
	links := fmt.Sprintf("[Unreleased]: %s/compare/%s...main\n[%s]: %s", link[1], r.Version, version, changes)
	return strings.Replace(page, link[0], links, 1), nil
}

var (
	testedRow   = regexp.MustCompile(`(?m)^\| (\S*) ?\| (v\d+\.\d+) \(`)
	releasesRow = regexp.MustCompile(`(?m)^\| Release \|.*\n\| --- \|.*\n`)
)

// addCompatibility adds a row for the release, with the tested versions.
func (r Release) addCompatibility(page string) (string, error) {
	tested, product := map[string][]string{}, ""
	for _, row := range testedRow.FindAllStringSubmatch(page, -1) {
		if row[1] != "" {
			product = row[1]
		}
		tested[product] = append(tested[product], row[2])
	}
	header := releasesRow.FindString(page)
	if header == "" || tested["cert-manager"] == nil || tested["Kubernetes"] == nil {
		return "", errors.New("the page has no table of releases or no tested versions")
	}
	row := fmt.Sprintf("| %s | %s | %s |\n", r.Version, strings.Join(tested["cert-manager"], ", "), strings.Join(tested["Kubernetes"], ", "))
	return strings.Replace(page, header, header+row, 1), nil
}
