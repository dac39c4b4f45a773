import { type Verdict, placeIn } from "../model/check";
import type { Problem } from "../api/client";

/** How much of a line is shown on both sides of a fault. */
const around = 60;

/** What the server says of an expression, while it is typed. */
export function CheckWords({ expression, verdict }: { expression: string; verdict: Verdict }) {
  switch (verdict.is) {
    case "none":
      return null;
    case "checking":
      return <p class="hint">Checking the expression…</p>;
    case "good":
      return <p class="hint good">The expression is valid: Enter applies it</p>;
    case "bad":
      return <Fault expression={expression} problem={verdict.problem} />;
  }
}

/** Why an expression, or another part of a query, is refused, and where it is wrong. */
export function Fault({ expression, problem }: { expression: string; problem: Problem }) {
  const errors = problem.document.errors ?? [];
  if (errors.length === 0) return <p class="fault">{problem.message}</p>;
  const several = expression.includes("\n");
  return (
    <ul class="faults">
      {errors.slice(0, 3).map((e) => (
        <li key={`${e.line}:${e.column}:${e.message}`}>
          <p class="fault">
            {several ? `Line ${e.line}, column ${e.column}: ` : `Column ${e.column}: `}
            {e.message}
          </p>
          <Marked expression={expression} line={e.line} column={e.column} />
        </li>
      ))}
    </ul>
  );
}

/** The line that is wrong, with a mark below the place. */
function Marked({ expression, line, column }: { expression: string; line: number; column: number }) {
  const { line: text, at } = placeIn(expression, line, column);
  const before = text.slice(Math.max(0, at - around), at);
  const wrong = [...text.slice(at)][0] ?? " ";
  const after = text.slice(at + wrong.length, at + around);
  return (
    <code class="marked-line" aria-hidden="true">
      {at > around && "…"}
      {before}
      <mark>{wrong}</mark>
      {after}
      {at + around < text.length && "…"}
    </code>
  );
}
