// Package output writes events, and the other things that commands list, in the forms that
// people and programs want: lines and tables, JSON and YAML, CSV, and what an expression
// makes of them.
//
// It promises that a form writes each record as soon as it gets it, but for tables of lists
// that end, whose columns are as wide as what is in them; that text is cut to fit a terminal
// only; that what a Writer has written ends with a whole record even where the disk is full;
// and that names and messages, which strangers can choose, do nothing to a terminal. Where
// records come from, which form is wanted, and how wide the terminal is, is left to others.
package output
