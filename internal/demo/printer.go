package demo

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/tcckit/tcckit/internal/observe"
)

// printer writes what people read. It is calm: no colour without a terminal, nothing that moves but the
// progress bar.
type printer struct {
	out      io.Writer
	terminal bool
	colour   bool
	steps    int
}

func newPrinter(out io.Writer) *printer {
	terminal := observe.IsTerminal(out)
	return &printer{out: out, terminal: terminal, colour: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

const (
	bold  = "1"
	dim   = "2"
	red   = "31"
	green = "32"
)

func (p *printer) paint(style, text string) string {
	if !p.colour {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

func (p *printer) title(text string) { fmt.Fprintf(p.out, "\n%s\n", p.paint(bold, text)) }

// step begins a numbered step.
func (p *printer) step(text string) {
	p.steps++
	p.title(fmt.Sprintf("%d  %s", p.steps, text))
}

func (p *printer) line(format string, args ...any) {
	fmt.Fprintf(p.out, "   "+format+"\n", args...)
}

func (p *printer) note(format string, args ...any) {
	fmt.Fprintf(p.out, "   %s\n", p.paint(dim, fmt.Sprintf(format, args...)))
}

func (p *printer) held(format string, args ...any) {
	fmt.Fprintf(p.out, "   %s %s\n", p.paint(green, "✓"), fmt.Sprintf(format, args...))
}

func (p *printer) failed(err error) {
	fmt.Fprintf(p.out, "   %s %s\n", p.paint(red, "✗"), strings.ReplaceAll(err.Error(), "\n", "\n     "))
}

// table writes rows in columns; all but the first two are aligned to the right.
func (p *printer) table(rows [][]string) {
	var widths []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < 2 {
				line.WriteString(cell + pad + "  ")
			} else {
				line.WriteString(pad + cell + "   ")
			}
		}
		p.line("  %s", strings.TrimRight(line.String(), " "))
	}
}

// progress draws a bar over the current line, on a terminal only.
func (p *printer) progress(done, total int, remark string) {
	if !p.terminal {
		return
	}
	const width = 40
	full := width * done / total
	fmt.Fprintf(p.out, "\r   %s%s %d of %d  %s\x1b[K", strings.Repeat("█", full), p.paint(dim, strings.Repeat("░", width-full)), done, total, remark)
}

// endProgress leaves the line with the bar.
func (p *printer) endProgress() {
	if p.terminal {
		fmt.Fprintln(p.out)
	}
}
