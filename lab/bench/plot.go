package main

import (
	"bytes"
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/rotor-auth/rotor/lab/page"
)

// The sizes of the plot and its parts, in points.
const (
	plotWidth, plotHeight vg.Length = 700, 320
	margin                vg.Length = 8
	namesWidth            vg.Length = 116 // beside each panel
	textSize              vg.Length = 8.5
	lineHeight                      = 1.25 * textSize
)

// colors are Okabe and Ito's, which colour-blind readers can tell apart. A line has
// the color of its first call, or is grey if that has none.
var colors = map[string]color.Color{
	oneRefresh:   color.RGBA{0x00, 0x72, 0xb2, 0xff},
	"issue":      color.RGBA{0xd5, 0x5e, 0x00, 0xff},
	"reuse":      color.RGBA{0xb0, 0x58, 0x8b, 0xff},
	listFamilies: color.RGBA{0x00, 0x9e, 0x73, 0xff},
	sweepOfOwner: color.RGBA{0xa8, 0x7b, 0x00, 0xff},
	revokeAll:    color.RGBA{0x22, 0x22, 0x22, 0xff},
}

// series is a line of the plot, for calls that take the same units at every size.
type series struct {
	calls  []string
	points plotter.XYs
}

// seriesOf returns the lines, in the order of their right ends from top to bottom.
// It leaves out calls that take no units at some size, because a logarithmic axis
// has no zero.
func seriesOf(all []Grown) []series {
	var lines []series
	for _, call := range callsOf(all) {
		s := series{calls: []string{call}}
		for _, g := range sizesOf(all, call) {
			if g.Units != nil {
				s.points = append(s.points, plotter.XY{X: float64(g.Size), Y: g.Units.Write + g.Units.Read + g.Units.Index})
			}
		}
		if len(s.points) == 0 || slices.ContainsFunc(s.points, func(p plotter.XY) bool { return p.Y <= 0 }) {
			continue
		}
		same := slices.IndexFunc(lines, func(l series) bool { return slices.Equal(l.points, s.points) })
		if same >= 0 {
			lines[same].calls = append(lines[same].calls, call)
		} else {
			lines = append(lines, s)
		}
	}
	slices.SortStableFunc(lines, func(a, b series) int { return cmp.Compare(b.end(), a.end()) })
	return lines
}

func (s series) color() color.Color {
	if c := colors[s.calls[0]]; c != nil {
		return c
	}
	return color.Gray{0x80}
}

func (s series) end() float64 { return s.points[len(s.points)-1].Y }

// plot draws the units of calls against the size of the table and of the user, as
// SVG on white.
func (g *Growth) plot() ([]byte, error) {
	tables, users := seriesOf(g.Tables), seriesOf(g.Users)
	if len(tables) == 0 || len(users) == 0 {
		return nil, fmt.Errorf("there are no units to plot")
	}
	most := 0.0
	for _, s := range slices.Concat(tables, users) {
		for _, p := range s.points {
			most = max(most, p.Y)
		}
	}
	canvas := vgsvg.New(plotWidth, plotHeight)
	c := draw.New(canvas)
	c.SetColor(color.White)
	c.Fill(c.Rectangle.Path())
	halves := draw.Tiles{Cols: 2, Rows: 1, PadX: 8, PadTop: margin, PadBottom: margin, PadLeft: margin, PadRight: margin}
	for i, part := range []struct {
		title string
		lines []series
	}{
		{"Units per call, by families in the table", tables},
		{"Units per call, by families of the user", users},
	} {
		if err := panel(halves.At(c, i, 0), part.title, part.lines, most); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	// If the font is missing, another with the same widths is used.
	return bytes.ReplaceAll(b.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;")), nil
}

// sans returns the plot's font, which is one of gonum's.
func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// panel draws lines over a logarithmic size, with their names to the right. The
// title says what the axes show, because on a logarithmic axis gonum reserves room
// for labels in the wrong place.
func panel(c draw.Canvas, title string, lines []series, most float64) error {
	p := plot.New()
	p.Title.Text, p.Title.Padding = title, 10
	p.Title.TextStyle.Font = sans(10)
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.Tick.Label.Font = sans(textSize)
		axis.Scale = plot.LogScale{}
		axis.Tick.Marker = plot.TickerFunc(decades)
		axis.Padding = 0
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = color.Gray{0xe4}, color.Gray{0xe4}
	p.Add(grid)
	for _, s := range lines {
		line, points, err := plotter.NewLinePoints(s.points)
		if err != nil {
			return err
		}
		line.Color, line.Width = s.color(), vg.Points(1.8)
		points.Color, points.Shape, points.Radius = line.Color, draw.CircleGlyph{}, vg.Points(2.4)
		p.Add(line, points)
	}
	p.Y.Min, p.Y.Max = 0.3, 1.5*most // with room for the names of the calls that take one unit
	plotted := draw.Crop(c, 0, -namesWidth, 0, 0)
	p.Draw(plotted)
	name(c, p, plotted, lines)
	return nil
}

// name writes the names of the lines at the height of their ends, or as near to it
// as there is room.
func name(c draw.Canvas, p *plot.Plot, plotted draw.Canvas, lines []series) {
	data := p.DataCanvas(plotted)
	_, y := p.Transforms(&data)
	left := data.Max.X + vg.Points(7)
	above := c.Max.Y
	for _, s := range lines {
		rows := strings.Split(page.Wrap(strings.Join(s.calls, ", "), 25, "\n"), "\n")
		height := lineHeight * vg.Length(len(rows))
		top := min(y(s.end())+lineHeight/2, above)
		style := text.Style{Color: s.color(), Font: sans(textSize), Handler: plot.DefaultTextHandler}
		for j, row := range rows {
			c.FillText(style, vg.Point{X: left, Y: top - lineHeight*(vg.Length(j)+0.8)}, row)
		}
		above = top - height - vg.Points(2)
	}
}

// decades returns ticks at the powers of ten, with unlabeled ticks between them.
func decades(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for ten := math.Pow10(int(math.Floor(math.Log10(low)))); ten <= high; ten *= 10 {
		for i := 1.0; i < 10; i++ {
			at := i * ten
			switch {
			case at < low || at > high:
			case i == 1:
				ticks = append(ticks, plot.Tick{Value: at, Label: page.Number(at, 0)})
			default:
				ticks = append(ticks, plot.Tick{Value: at})
			}
		}
	}
	return ticks
}
