package main

import (
	"io"
	"os"
	"strconv"

	"golang.org/x/term"
)

// isTerminal takes every device for a terminal but the one that takes everything.
func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err != nil || !os.SameFile(info, null)
}

// terminalWidth returns how many characters a line of a terminal has, or 0 where that is not
// known or w is no terminal. COLUMNS in the environment has the last word.
func terminalWidth(w io.Writer) int {
	if !isTerminal(w) {
		return 0
	}
	if columns, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && columns > 0 {
		return columns
	}
	columns, _, err := term.GetSize(int(w.(*os.File).Fd()))
	if err != nil {
		return 0
	}
	return columns
}
