package tcc_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tcckit/tcckit/tcc"
)

func TestValidate(t *testing.T) {
	ok := tcc.Branch{GID: strings.Repeat("g", tcc.MaxGIDLen), ID: strings.Repeat("b", tcc.MaxBranchIDLen), Phase: tcc.Cancel}
	require.NoError(t, ok.Validate())
	for name, change := range map[string]func(*tcc.Branch){
		"no gid":           func(b *tcc.Branch) { b.GID = "" },
		"a long gid":       func(b *tcc.Branch) { b.GID += "g" },
		"no branch id":     func(b *tcc.Branch) { b.ID = "" },
		"a long branch id": func(b *tcc.Branch) { b.ID += "b" },
		"a space":          func(b *tcc.Branch) { b.ID = "0 1" },
		"a letter beyond":  func(b *tcc.Branch) { b.GID = "gä" },
		"not UTF-8":        func(b *tcc.Branch) { b.GID = "g\xff" },
		"a line break":     func(b *tcc.Branch) { b.GID = "g\n" },
		"no phase":         func(b *tcc.Branch) { b.Phase = 0 },
		"a fourth phase":   func(b *tcc.Branch) { b.Phase = tcc.Cancel + 1 },
	} {
		b := ok
		change(&b)
		require.Error(t, b.Validate(), name)
	}
}

func TestParsePhase(t *testing.T) {
	for _, p := range []tcc.Phase{tcc.Try, tcc.Confirm, tcc.Cancel} {
		got, ok := tcc.ParsePhase(p.String())
		require.True(t, ok)
		require.Equal(t, p, got)
	}
	for _, s := range []string{"", "TRY", "action", "phase(0)"} {
		_, ok := tcc.ParsePhase(s)
		require.False(t, ok, s)
	}
}
