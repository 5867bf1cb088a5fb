package dtmserver_test

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// envShots, when set, makes the test write what it sees into docs/console.
const envShots = "TCCKIT_CONSOLE_SHOTS"

// shoot writes a picture of the tab for the docs, when told to.
func (b *browser) shoot(name string) {
	b.t.Helper()
	if os.Getenv(envShots) == "" {
		return
	}
	b.settle()
	picture, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join("..", "..", "docs", "console", name+".png"), shrink(b.t, picture), 0o644))
}

// shrink writes a picture with fewer colours: a console has few.
func shrink(t *testing.T, picture []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	few := image.NewPaletted(full.Bounds(), commonColors(full))
	draw.Draw(few, few.Bounds(), full, full.Bounds().Min, draw.Src)
	var small bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, few))
	return small.Bytes()
}

// commonColors are the 256 colours that most of a picture has.
func commonColors(picture image.Image) color.Palette {
	counts := map[color.Color]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[picture.At(x, y)]++
		}
	}
	colors := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	return color.Palette(colors[:min(256, len(colors))])
}
