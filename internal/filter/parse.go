package filter

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"vstream/internal/spelling"
)

// What a query may ask for.
const (
	maxValues     = 200  // of one parameter
	maxValue      = 512  // bytes of a value
	maxText       = 256  // characters of q
	maxExpression = 4096 // bytes of filter
)

// An Error says what is wrong with a parameter. Its text is Detail, for users.
type Error struct {
	Parameter, Detail string
	Issues            []Issue // of an expression: where it is wrong, and how
}

// Error returns the detail.
func (e *Error) Error() string { return e.Detail }

// An Issue is one thing that is wrong in an expression. Line and column count from 1, columns
// in characters.
type Issue struct {
	Line, Column int
	Message      string // CEL's own
}

func invalid(parameter, format string, args ...any) *Error {
	return &Error{Parameter: parameter, Detail: "invalid " + parameter + ": " + fmt.Sprintf(format, args...)}
}

// Parse compiles the filter parameters of a query and ignores the others. Its errors are
// *Error. Empty values are as if they were absent.
func Parse(query url.Values) (*Filter, error) {
	f := new(Filter)
	for i := range f.fields {
		n, err := parseNames(Field(i), query)
		if err != nil {
			return nil, err
		}
		f.fields[i] = n
	}
	var err error
	if f.chain, err = parseChain(query); err != nil {
		return nil, err
	}
	if f.text, err = parseText(query); err != nil {
		return nil, err
	}
	source, err := once("filter", query)
	switch {
	case err != nil:
		return nil, err
	case len(source) > maxExpression:
		return nil, invalid("filter", "it has more than %d bytes; shorten it", maxExpression)
	case strings.TrimSpace(source) == "":
		return f, nil
	}
	if f.expression, err = compile(source); err != nil {
		return nil, err
	}
	return f, nil
}

func parseNames(field Field, query url.Values) (*names, error) {
	wanted, unwanted, err := split(field.String(), query)
	if err != nil || len(wanted)+len(unwanted) == 0 {
		return nil, err
	}
	for _, values := range [][]string{wanted, unwanted} {
		for i, v := range values {
			v = folded(v)
			if known := field.known(); known != nil && !strings.Contains(v, "*") && !slices.Contains(known, v) {
				return nil, unknown(field, values[i], known)
			}
			if field == Type {
				v = short(v)
			}
			values[i] = squeeze(v)
		}
	}
	return &names{is: newSet(wanted), not: newSet(unwanted)}, nil
}

func unknown(field Field, value string, known []string) *Error {
	if near := spelling.Nearest(value, known); near != "" {
		return invalid(field.String(), "there is no %s; did you mean %q?", abbreviate(value), near)
	}
	return invalid(field.String(), "there is no %s; known are %s", abbreviate(value), strings.Join(known, ", "))
}

// short returns the name in the type of a CloudEvent, which stands between what we begin all
// types with, or have begun them with, and a version. Other texts it returns as they are.
func short(value string) string {
	for _, prefix := range []string{"vmware.vsphere.", "com.vmware.vsphere."} {
		if name, found := strings.CutPrefix(value, prefix); found && len(name) > len(".v0") {
			name, found = strings.CutSuffix(name, ".v0")
			if found && !strings.HasPrefix(name, "!") { // which alone would be a negation
				return name
			}
		}
	}
	return value
}

// squeeze makes one * of several.
func squeeze(value string) string {
	var b strings.Builder
	star := false
	for i := range len(value) {
		if value[i] != '*' || !star {
			b.WriteByte(value[i])
		}
		star = value[i] == '*'
	}
	return b.String()
}

func parseChain(query url.Values) (*chains, error) {
	wanted, unwanted, err := split("chain", query)
	if err != nil || len(wanted)+len(unwanted) == 0 {
		return nil, err
	}
	c := new(chains)
	for _, list := range []struct {
		texts   []string
		numbers *[]int32
	}{{wanted, &c.is}, {unwanted, &c.not}} {
		for _, text := range list.texts {
			n, err := strconv.ParseInt(text, 10, 32)
			if err != nil {
				return nil, invalid("chain", "%s is not a number of 32 bits; use the ChainId of an event", abbreviate(text))
			}
			*list.numbers = append(*list.numbers, int32(n))
		}
		slices.Sort(*list.numbers)
		*list.numbers = slices.Compact(*list.numbers)
	}
	return c, nil
}

func parseText(query url.Values) (string, error) {
	text, err := once("q", query)
	switch {
	case err != nil:
		return "", err
	case len(text) > maxText*utf8.UTFMax || utf8.RuneCountInString(text) > maxText:
		return "", invalid("q", "it has more than %d characters; shorten it", maxText)
	}
	return folded(text), nil
}

// once returns the only value of a parameter that is not empty, or "".
func once(parameter string, query url.Values) (string, error) {
	var value string
	for _, v := range query[parameter] {
		switch {
		case v == "":
		case value != "":
			return "", invalid(parameter, "it is given more than once; give it once")
		case !utf8.ValidString(v):
			return "", invalid(parameter, "it is not UTF-8")
		default:
			value = v
		}
	}
	return value, nil
}

// split returns the values of a parameter, which may be repeated and have several with commas
// between: those without and those with a !, without it.
func split(parameter string, query url.Values) (wanted, unwanted []string, err error) {
	for _, given := range query[parameter] {
		for v := range strings.SplitSeq(given, ",") {
			v, not := strings.CutPrefix(strings.TrimSpace(v), "!")
			switch {
			case v == "" && !not:
				continue
			case v == "":
				return nil, nil, invalid(parameter, "there is nothing after a !; use !* for events that have none")
			case len(v) > maxValue:
				return nil, nil, invalid(parameter, "%s has more than %d bytes; use a * for a part of it", abbreviate(v), maxValue)
			case !utf8.ValidString(v):
				return nil, nil, invalid(parameter, "%s is not UTF-8", abbreviate(v))
			case len(wanted)+len(unwanted) == maxValues:
				return nil, nil, invalid(parameter, "there are more than %d values; use a * for several of them", maxValues)
			case not:
				unwanted = append(unwanted, v)
			default:
				wanted = append(wanted, v)
			}
		}
	}
	return wanted, unwanted, nil
}

// abbreviate quotes what a client sent, without sending all of it back.
func abbreviate(s string) string {
	const enough = 40
	if len(s) > enough {
		return strconv.Quote(s[:enough]) + "…"
	}
	return strconv.Quote(s)
}
