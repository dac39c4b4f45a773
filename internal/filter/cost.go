package filter

import (
	"fmt"
	"regexp"
	"strings"

	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"

	"vstream"
)

// costLimit is what evaluating an expression on one event may cost. A unit is about what
// comparing two short texts takes, so that all of it is some milliseconds.
const costLimit = 20_000

// A CostError says that an expression costs too much on one event.
type CostError struct {
	Offset vstream.Offset // of the event
	Limit  uint64
}

func (e *CostError) Error() string {
	return fmt.Sprintf("the filter costs more than %d steps on event %d; make it simpler, or test fields before data", e.Limit, e.Offset)
}

// exceed ends an evaluation whose next call alone would cost too much.
func exceed() {
	panic(interpreter.EvalCancelledError{Cause: interpreter.CostLimitExceeded, Message: "the next call costs too much"})
}

// A model says what calls cost where cel-go has them cost 1, or less than they take. It holds
// the sizes of the regular expressions, in instructions.
type model map[string]int

// CallCost implements cost.ActualCostEstimator. Where it returns nil, cel-go decides.
func (m model) CallCost(function, _ string, args []ref.Val, result ref.Val) *uint64 {
	var cost int
	switch {
	case len(args) == 2 && compares(function):
		cost = comparison(function, args[0], args[1])
	case function == matches:
		cost = matching(size(args[0]), m[fmt.Sprint(args[1].Value())])
	case strings.HasPrefix(function, "get") && len(args) == 2:
		cost = 200 // of a zone of time, which may be read from a file
	case function == operators.Add: // lists are not copied
		cost = 1 + size(result)/4
	default:
		for _, a := range args {
			cost += size(a)
		}
		if list, ok := result.(traits.Lister); ok {
			cost += 10 * int(list.Size().(types.Int))
		}
		cost = 1 + (cost+size(result))/10
	}
	if cost <= 1 {
		return nil
	}
	units := uint64(cost)
	return &units
}

// size returns how many bytes a text has, or bytes are; other values have none.
func size(v ref.Val) int {
	switch v := v.(type) {
	case types.String:
		return len(v)
	case types.Bytes:
		return len(v)
	default:
		return 0
	}
}

func compares(function string) bool {
	return function == operators.Equals || function == operators.NotEquals || function == operators.In
}

// comparison returns what a comparison costs, up to some times the limit. Lists and maps are
// compared as a whole, and may hold one list many times.
func comparison(function string, l, r ref.Val) int {
	if function != operators.In {
		return 1 + lighter(l, r)
	}
	list, ok := r.(traits.Lister)
	if !ok {
		return 1 + weigh(l, costLimit)
	}
	n := int(list.Size().(types.Int))
	if n > costLimit {
		return n
	}
	each := weigh(l, costLimit)
	if _, text := l.(types.String); text { // most others differ in length
		each = 1 + each/10
	}
	return (1 + n) * each
}

// lighter returns the weight of the lighter of two values. It looks at neither for longer
// than is in proportion to that.
func lighter(l, r ref.Val) int {
	for limit := 16; ; limit *= 4 {
		if weight := min(weigh(l, limit), weigh(r, limit)); weight <= limit || limit > costLimit {
			return weight
		}
	}
}

// weigh returns how many values are in v, and texts by their length; not more than a bit
// above limit.
func weigh(v ref.Val, limit int) int {
	weight := 1
	switch v := v.(type) {
	case types.String, types.Bytes:
		weight += size(v) / 10
	case traits.Mapper:
		for it := v.Iterator(); it.HasNext() == types.True && weight <= limit; {
			key := it.Next()
			value, _ := v.Find(key)
			weight += weigh(key, limit-weight) + weigh(value, limit-weight)
		}
	case traits.Lister:
		for it := v.Iterator(); it.HasNext() == types.True && weight <= limit; {
			weight += weigh(it.Next(), limit-weight)
		}
	}
	return weight
}

// guarded makes calls look at what they will cost before they begin, where that may be much:
// comparisons, but for those with a constant, which is short, and matches.
func (m model) guarded(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	call, ok := i.(interpreter.InterpretableCall)
	if !ok || len(call.Args()) != 2 {
		return i, nil
	}
	_, leftIsConstant := call.Args()[0].(interpreter.InterpretableConst)
	right, rightIsConstant := call.Args()[1].(interpreter.InterpretableConst)
	switch function := call.Function(); {
	case function == overloads.Matches && rightIsConstant:
		return m.matcher(call, fmt.Sprint(right.Value().Value()))
	case !compares(function), rightIsConstant, leftIsConstant && function != operators.In:
		return i, nil
	}
	return comparer(call), nil
}

// comparer returns a comparison as one that looks at its cost first.
func comparer(call interpreter.InterpretableCall) interpreter.InterpretableV2 {
	function := call.Function()
	return interpreter.NewCall(call.ID(), function, call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
		if comparison(function, args[0], args[1]) > costLimit {
			exceed()
		}
		switch function {
		case operators.Equals:
			return types.Equal(args[0], args[1])
		case operators.NotEquals:
			return types.Bool(types.Equal(args[0], args[1]) != types.True)
		}
		container, ok := args[1].(traits.Container)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		return container.Contains(args[0])
	})
}

// matches is our name of a call of matches that is compiled, which keeps cel-go from
// compiling it again.
const matches = "vstream.matches"

// matching returns what it costs to match a text of so many bytes with so many instructions:
// the matcher may keep all of them in mind at each character.
func matching(bytes, instructions int) int {
	return 1 + (bytes+1)*instructions/100
}

// matcher returns a call of matches as one that is compiled and looks at its cost first.
func (m model) matcher(call interpreter.InterpretableCall, pattern string) (interpreter.InterpretableV2, error) {
	compiled, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	instructions, err := types.RegexProgramSize(pattern)
	if err != nil {
		return nil, err
	}
	m[pattern] = instructions
	return interpreter.NewCall(call.ID(), matches, call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
		text, ok := args[0].(types.String)
		if !ok {
			return types.NoSuchOverloadErr()
		}
		if matching(len(text), instructions) > costLimit {
			exceed()
		}
		return types.Bool(compiled.MatchString(string(text)))
	}), nil
}
