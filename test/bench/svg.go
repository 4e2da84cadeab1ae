//go:build linux

package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
	"slices"
	"strings"
	"text/template"
)

// bar is one line of the picture.
type bar struct {
	label string
	spread
	limit float64 // 0: none
	unit  string
}

// group is bars on one scale.
type group struct {
	title string
	bars  []bar
}

// groups is what the picture shows: CPU in terms of the reference for every row, and every other must.
func (r *results) groups() (all []group) {
	add := func(title string, b bar) {
		i := slices.IndexFunc(all, func(g group) bool { return g.title == title })
		if i < 0 {
			i = len(all)
			all = append(all, group{title: title})
		}
		all[i].bars = append(all[i].bars, b)
	}
	limits := map[row]float64{}
	for _, j := range r.judge() {
		if j.group == "" {
			limits[j.row] = j.limit
		}
	}
	for _, of := range r.rows() {
		if s := r.ratio(of, r.compared(of), cpuOf); of.system != reference && s.n > 0 {
			add(scale(of), bar{of.label(), s, limits[of], "x"})
		}
	}
	for _, j := range r.judge() {
		if j.group != "" && j.n > 0 {
			add(j.group, bar{j.label(), j.spread, j.limit, j.unit})
		}
	}
	return all
}

// scale names the group that a row's CPU is drawn in: one client's and appendfsync always's would dwarf the others.
func scale(of row) string {
	title := fmt.Sprintf("Server CPU per operation, of redis-server's in the same round: %s, %d bytes, ", describeShape(of.cell.Shape), of.cell.Data.ValueSize)
	if strings.HasSuffix(of.system, "-always") {
		return title + "always against everysec"
	}
	return title + "everysec"
}

// describeShape is a shape in words.
func describeShape(name string) string {
	s := shapes[name]
	if s.rate > 0 {
		return fmt.Sprintf("%.0f a second", s.rate)
	}
	return fmt.Sprintf("(%s) clients %d, pipeline %d", name, s.clients, s.pipeline)
}

// What the template gets: pixels and text.
type (
	drawing struct {
		Width, Height        int
		LabelX, ValueX       int // where bars start, and values relative to that
		Title, About, Legend string
		Groups               []drawnGroup
	}
	drawnGroup struct {
		Y     int
		Title string
		Bars  []drawnBar
	}
	drawnBar struct {
		Y                 int
		Label, Value      string
		Width, Lo, Hi     float64 // x of the median's and of the range's ends
		Limit, LimitBelow float64 // x of the must line; 0: none
		Missed            bool
	}
)

const (
	svgWidth  = 1000
	labelX    = 300 // bars start here
	barsWidth = 520 // the values stand right of it
	barHeight = 20
)

// svg draws the groups.
func (r *results) svg() ([]byte, error) {
	d := drawing{
		Width: svgWidth, LabelX: labelX, ValueX: barsWidth + 10, Title: fmt.Sprintf("shoal, suite %s: %s", r.Suite, r.About), About: r.Machine.String(),
		Legend: fmt.Sprintf("Bars: median of %d rounds; thin line: smallest to largest; red line: must be at most; orange: missed.", r.Rounds),
	}
	y := 90
	for _, g := range r.groups() {
		drawn := drawnGroup{Y: y + 16, Title: g.title}
		y += 28
		top := 0.0
		for _, b := range g.bars {
			top = max(top, b.max, b.limit)
		}
		x := func(v float64) float64 { return math.Round(10*barsWidth*max(0, v)/max(top, 1e-9)) / 10 }
		for _, b := range g.bars {
			value := fmt.Sprintf("%.2f %s", b.median, b.unit)
			if b.limit > 0 {
				value += fmt.Sprintf(" (must %g)", b.limit)
			}
			drawn.Bars = append(drawn.Bars, drawnBar{
				Y: y, Label: b.label, Value: value, Width: x(b.median), Lo: x(b.min), Hi: x(b.max),
				Limit: x(b.limit), Missed: b.limit > 0 && b.median > b.limit,
			})
			y += barHeight
		}
		y += 14
		d.Groups = append(d.Groups, drawn)
	}
	d.Height = y + 10
	var out bytes.Buffer
	err := svgTemplate.Execute(&out, d)
	return out.Bytes(), err
}

var svgTemplate = template.Must(template.New("svg").Funcs(template.FuncMap{"escape": html.EscapeString}).Parse(
	`<svg xmlns="http://www.w3.org/2000/svg" width="{{.Width}}" height="{{.Height}}" viewBox="0 0 {{.Width}} {{.Height}}" font-family="sans-serif" font-size="12">
<rect width="{{.Width}}" height="{{.Height}}" fill="#ffffff"/>
<text x="16" y="26" font-size="17" font-weight="bold" fill="#222222">{{escape .Title}}</text>
<text x="16" y="46" font-size="10" fill="#555555">{{escape .About}}</text>
<text x="16" y="64" font-size="11" fill="#555555">{{escape .Legend}}</text>
{{range .Groups}}<text x="16" y="{{.Y}}" font-weight="bold" font-size="13" fill="#222222">{{escape .Title}}</text>
{{range .Bars}}<g transform="translate({{$.LabelX}} {{.Y}})">
<text x="-8" y="14" text-anchor="end" fill="#222222">{{escape .Label}}</text>
<rect x="0" y="3" width="{{.Width}}" height="14" fill="{{if .Missed}}#e0a458{{else}}#5b8db8{{end}}"/>
<line x1="{{.Lo}}" y1="10" x2="{{.Hi}}" y2="10" stroke="#222222" stroke-width="1.5"/>
{{if .Limit}}<line x1="{{.Limit}}" y1="0" x2="{{.Limit}}" y2="20" stroke="#c0392b" stroke-width="2"/>
{{end}}<text x="{{$.ValueX}}" y="14" fill="#222222">{{escape .Value}}</text>
</g>
{{end}}{{end}}</svg>
`))
