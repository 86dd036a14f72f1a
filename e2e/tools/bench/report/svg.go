// Copyright The selfsigned-issuer Authors.
// SPDX-License-Identifier: Apache-2.0

package report

import (
	_ "embed"
	"html/template"
	"io"
	"strconv"
)

// Chart is a group of bars with a scale of its own.
type Chart struct {
	Title string
	Bars  []Bar
}

// Bar is one value.
type Bar struct {
	Label     string
	Value     float64
	Highlight bool
}

// Sizes, in pixels.
const (
	chartWidth = 760
	barLeft    = 200
	barMost    = 470
	barHeight  = 18
	barStep    = 26
	titleStep  = 34
	chartGap   = 14
)

// svgText is a line of text, svgBar a bar; both are placed.
type (
	svgText struct {
		X, Y  int
		Class string
		Text  string
	}
	svgBar struct {
		Y, Width, Height, Left int
		Class                  string
	}
	svgImage struct {
		Width, Height int
		Texts         []svgText
		Bars          []svgBar
	}
)

//go:embed chart.svg.tmpl
var svgTemplate string

// WriteSVG draws the charts below each other; those without bars are left out. The image
// needs neither scripts nor fonts, and follows the reader's light or dark scheme.
func WriteSVG(out io.Writer, charts []Chart) error {
	return template.Must(template.New("chart").Parse(svgTemplate)).Execute(out, layOut(charts))
}

func layOut(charts []Chart) svgImage {
	image := svgImage{Width: chartWidth, Height: chartGap}
	for _, chart := range charts {
		if len(chart.Bars) == 0 {
			continue
		}
		image.Texts = append(image.Texts, svgText{chartGap, image.Height + titleStep/2, "title", chart.Title})
		image.Height += titleStep
		most := 0.0
		for _, bar := range chart.Bars {
			most = max(most, bar.Value)
		}
		for _, bar := range chart.Bars {
			image.add(bar, most)
		}
		image.Height += chartGap
	}
	return image
}

func (image *svgImage) add(bar Bar, most float64) {
	class := "other"
	if bar.Highlight {
		class = "ours"
	}
	width := 1
	if most > 0 {
		width = max(1, int(bar.Value/most*barMost))
	}
	baseline := image.Height + barHeight - 5
	image.Bars = append(image.Bars, svgBar{image.Height, width, barHeight, barLeft, class})
	image.Texts = append(image.Texts,
		svgText{barLeft - 8, baseline, "label", bar.Label},
		svgText{barLeft + width + 6, baseline, "value", strconv.FormatFloat(bar.Value, 'f', decimals(bar.Value), 64)})
	image.Height += barStep
}

// decimals shows three digits or more.
func decimals(value float64) int {
	switch {
	case value < 10:
		return 2
	case value < 100:
		return 1
	default:
		return 0
	}
}
