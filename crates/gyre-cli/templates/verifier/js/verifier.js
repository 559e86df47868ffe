// A verifier: it passes an answer whose results are the expected ones.
//
// `wit/verifier.wit` says what an outcome holds and what a report must be.

export const grading = {
  // Throwing means that nothing can be said of the answer.
  verify(outcome) {
    const checks = outcome.cases.map(check);
    if (checks.length === 0) throw "the outcome holds no case";
    const passed = checks.filter((check) => check.passed).length;
    return {
      passed: passed === checks.length,
      score: passed / checks.length,
      checks,
      metrics: [],
    };
  },
};

function check({ name, result, expect }) {
  // Compared as texts: JSON.parse would take 1.0 for 1 and round large integers.
  const passed = result.tag === "value" && result.val === expect;
  const said = result.tag === "value" ? `gave ${result.val}, not ${expect}` : result.val;
  // The host refuses a detail beyond 4 KiB.
  return { name, passed, weight: 1, detail: passed ? "" : said.slice(0, 200) };
}
