package filter

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"

	"vstream"
	"vstream/internal/spelling"
)

// Bounds of an expression, beside its length.
const (
	maxDepth   = 30   // of what is nested in one another
	maxNodes   = 2000 // after macros are expanded
	maxMacros  = 4    // all, exists, filter, map, exists_one in or after one another
	maxPattern = 256  // bytes of a regular expression
	maxRegexes = 1000 // instructions of all regular expressions together
	maxIssues  = 10   // that are told
	maxMessage = 300  // bytes of an issue
)

// An expression is a compiled CEL expression.
type expression struct {
	source  string // without spaces around it
	program cel.Program
}

// environment is what expressions are compiled in. It is the same for all of them.
var environment = sync.OnceValue(func() *cel.Env {
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(adapter{types.DefaultTypeAdapter}),
		// Version 0 leaves format and quote out, which double a text for a cost of 1.
		ext.Strings(ext.StringsVersion(0)),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserErrorRecoveryLimit(maxIssues),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ASTValidators(
			cel.ValidateComprehensionNestingLimit(maxMacros),
			cel.ValidateDurationLiterals(),
			cel.ValidateTimestampLiterals(),
			permitted{},
		),
		cel.Variable("time", cel.TimestampType),
		cel.Variable("data", cel.DynType),
	}
	for _, name := range textVariables {
		options = append(options, cel.Variable(name, cel.StringType))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		panic(fmt.Sprintf("filter: the environment of expressions: %v", err))
	}
	return env
})

// compile compiles an expression that is not longer than permitted. Its errors are *Error.
func compile(source string) (x *expression, err error) {
	// A parser and a checker of this size that read what strangers write may have a mistake.
	defer func() {
		if recover() != nil {
			x, err = nil, invalid("filter", "it cannot be compiled; write it in another way")
		}
	}()
	env := environment()
	checked, issues := env.Compile(source)
	if issues.Err() != nil {
		return nil, issuesOf(issues)
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, refused(Issue{1, 1, fmt.Sprintf("the result is not bool but %s; compare it with something", t)})
	}
	costs := model{}
	program, err := env.Program(checked,
		cel.EvalOptions(cel.OptOptimize),
		cel.CustomDecoratorV2(costs.guarded),
		cel.CostTracking(costs),
		cel.CostLimit(costLimit),
	)
	if err != nil {
		return nil, refused(Issue{1, 1, err.Error()})
	}
	return &expression{strings.TrimSpace(source), program}, nil
}

// match evaluates the expression on an event.
func (x *expression) match(vcenter string, e *vstream.Event) (bool, error) {
	result, _, err := x.program.Eval(&variables{vcenter: vcenter, event: e})
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return false, &CostError{Offset: e.Offset, Limit: costLimit}
	}
	return err == nil && result == types.True, nil
}

// issuesOf returns what CEL says is wrong, as an error.
func issuesOf(issues *cel.Issues) *Error {
	var told []Issue
	for _, e := range issues.Errors()[:min(maxIssues, len(issues.Errors()))] {
		told = append(told, Issue{max(1, e.Location.Line()), max(0, e.Location.Column()) + 1, e.Message + hint(e.Message)})
	}
	return refused(told...)
}

// textVariables are those that are texts.
var textVariables = []string{"id", "type", "source", "eventclass", "severity", "user", "vm", "host", "cluster",
	"datacenter", "datastore", "network", "vcenter", "message"}

// undeclared is what CEL says of a name that it does not know.
var undeclared = regexp.MustCompile(`^undeclared reference to '(\w+)' \(in container ''\)$`)

// hint returns what to add to a message of CEL, for mistakes that people make.
func hint(message string) string {
	if strings.HasPrefix(message, "Syntax error: token recognition error at: '= ") {
		return "; equality is written =="
	}
	if m := undeclared.FindStringSubmatch(message); m != nil {
		if near := spelling.Nearest(m[1], append([]string{"time", "data"}, textVariables...)); near != "" && near != m[1] {
			return "; did you mean " + near + "?"
		}
	}
	return ""
}

// refused returns the error that names the first of the issues, of which there is one at
// least.
func refused(issues ...Issue) *Error {
	for i := range issues {
		message := strings.TrimSuffix(issues[i].Message, " (in container '')")
		if len(message) > maxMessage {
			message = clip(message, maxMessage) + "…"
		}
		issues[i].Message = message
	}
	first := issues[0]
	err := invalid("filter", "%d:%d: %s", first.Line, first.Column, first.Message)
	err.Issues = issues
	return err
}

// clip returns the beginning of s, of at most n bytes, without a part of a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// permitted refuses what cannot be bounded while an expression runs, for the work of a single
// call may be too much: it grows with the product of two texts, or its result does.
type permitted struct{}

// Name implements cel.ASTValidator.
func (permitted) Name() string { return "vstream.permitted" }

// Validate implements cel.ASTValidator.
func (permitted) Validate(_ *cel.Env, _ cel.ValidatorConfig, a *ast.AST, issues *cel.Issues) {
	instructions := 0
	for _, e := range ast.MatchDescendants(ast.NavigateAST(a), ast.AllMatcher()) {
		switch e.Kind() {
		case ast.StructKind:
			issues.ReportErrorAtID(e.ID(), "messages cannot be made in a filter")
		case ast.CallKind:
			switch call := e.AsCall(); call.FunctionName() {
			case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
				// Texts are compared by their letters, by which a warning is more than an error.
				if slices.ContainsFunc(call.Args(), isSeverity) {
					issues.ReportErrorAtID(e.ID(), `severities have no order; write severity in ["warning", "error"]`)
				}
			case "indexOf", "lastIndexOf":
				issues.ReportErrorAtID(e.ID(), "%s is not available in a filter; use contains or matches", call.FunctionName())
			case "join", "replace":
				issues.ReportErrorAtID(e.ID(), "%s is not available in a filter", call.FunctionName())
			case overloads.Matches:
				pattern := call.Args()[len(call.Args())-1]
				n, err := regexSize(pattern)
				if instructions += n; err == nil && instructions > maxRegexes {
					err = errors.New("the regular expressions are too large; shorten them, or count less with {}")
				}
				if err != nil {
					issues.ReportErrorAtID(pattern.ID(), "%v", err)
					return
				}
			}
		}
	}
}

func isSeverity(e ast.Expr) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == "severity" }

// regexSize returns of how many instructions the regular expression is.
func regexSize(e ast.Expr) (int, error) {
	if e.Kind() != ast.LiteralKind {
		return 0, errors.New("the pattern of matches must be written as it is, not computed")
	}
	pattern, ok := e.AsLiteral().Value().(string)
	switch {
	case !ok:
		return 0, errors.New("the pattern of matches must be a text")
	case len(pattern) > maxPattern:
		return 0, fmt.Errorf("the pattern of matches has more than %d bytes; shorten it", maxPattern)
	}
	return types.RegexProgramSize(pattern)
}
