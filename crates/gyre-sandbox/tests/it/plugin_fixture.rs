//! Verifiers written by hand as WebAssembly text, so that each does one thing.

/// Where the fixtures keep what `verify` returns.
const AT: u32 = 1024;
/// Where they keep texts.
const TEXT_AT: u32 = 2048;

/// The types of `sandboxes/wit/verifier.wit`, and `verify` lifted to them.
const FACE: &str = r#"
  (type $example (record (field "args" string) (field "expect" string)))
  (type $task (record (field "id" string) (field "family" string) (field "instruction" string)
    (field "entry" string) (field "visible" (list $example))))
  (type $case-result (variant (case "value" string) (case "error" string)))
  (type $file (record (field "path" string) (field "text" string)))
  (type $case (record (field "name" string) (field "args" string) (field "expect" string)
    (field "result" $case-result) (field "stdout" string) (field "files" (list $file))))
  (type $outcome (record (field "version" u32) (field "task" $task) (field "answer" string)
    (field "cases" (list $case))))
  (type $check (record (field "name" string) (field "passed" bool) (field "weight" float64)
    (field "detail" string)))
  (type $metric (record (field "name" string) (field "value" float64)))
  (type $report (record (field "passed" bool) (field "score" float64)
    (field "checks" (list $check)) (field "metrics" (list $metric))))
  (func $verify (param "outcome" $outcome) (result (result $report (error string)))
    (canon lift (core func $inside "verify") (memory (core memory $inside "memory"))
      (realloc (core func $inside "realloc"))))
  (instance $grading
    (export "example" (type $example)) (export "task" (type $task))
    (export "case-result" (type $case-result)) (export "file" (type $file))
    (export "case" (type $case)) (export "outcome" (type $outcome))
    (export "check" (type $check)) (export "metric" (type $metric))
    (export "report" (type $report)) (export "verify" (func $verify)))
  (export "gyre:verifier/grading@1.0.0" (instance $grading))
"#;

/// A core module with an allocator, and whatever else is given.
fn module(rest: &str) -> String {
    format!(
        r#"(core module $module
    (memory (export "memory") 1)
    (global $next (mut i32) (i32.const 32768))
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
      (global.set $next (i32.add (local.get $at) (local.get 3)))
      (block $enough (loop $more
        (br_if $enough (i32.le_u (global.get $next)
          (i32.mul (memory.size) (i32.const 65536))))
        (drop (memory.grow (i32.const 1)))
        (br $more)))
      (local.get $at))
    {rest})
  (core instance $inside (instantiate $module))"#
    )
}

/// What `verify` takes once it is flattened, and gives: a pointer.
const SIGNATURE: &str = "(export \"verify\")
      (param $version i32) (param $id i32) (param $id_size i32)
      (param $family i32) (param $family_size i32)
      (param $instruction i32) (param $instruction_size i32)
      (param $entry i32) (param $entry_size i32)
      (param $visible i32) (param $visible_count i32)
      (param $answer i32) (param $answer_size i32)
      (param $cases i32) (param $cases_count i32)
      (result i32)";

/// A verifier whose `verify` is this code, beside these definitions.
pub(crate) fn verifier(definitions: &str, code: &str) -> Vec<u8> {
    let module = module(&format!("{definitions}\n    (func {SIGNATURE}\n      {code})"));
    assemble(&format!("(component {module}{FACE})"))
}

pub(crate) fn assemble(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// What a verifier returns, laid out as the canonical ABI wants it.
pub(crate) struct Returned {
    pub(crate) passed: bool,
    pub(crate) score: f64,
    pub(crate) weight: f64,
    pub(crate) detail: &'static [u8],
    /// Instead of the detail's own size.
    pub(crate) detail_size: Option<u32>,
    /// How often the one metric is there.
    pub(crate) metrics: u32,
    pub(crate) metric: f64,
}

impl Default for Returned {
    fn default() -> Self {
        Self {
            passed: true,
            score: 1.0,
            weight: 1.0,
            detail: b"as it should be",
            detail_size: None,
            metrics: 0,
            metric: 0.5,
        }
    }
}

impl Returned {
    /// Definitions that put it into memory, and code that returns it.
    pub(crate) fn text(&self) -> String {
        let (checks_at, metrics_at) = (AT + 256, AT + 512);
        let mut result = vec![0_u8; 40];
        result[8] = u8::from(self.passed);
        result[16..24].copy_from_slice(&self.score.to_le_bytes());
        put(&mut result[24..32], [checks_at, 1]);
        put(&mut result[32..40], [metrics_at, self.metrics]);
        let mut check = vec![0_u8; 32];
        put(&mut check[0..8], [TEXT_AT, 4]);
        check[8] = u8::from(self.passed);
        check[16..24].copy_from_slice(&self.weight.to_le_bytes());
        let size = self.detail_size.unwrap_or(self.detail.len() as u32);
        put(&mut check[24..32], [TEXT_AT + 16, size]);
        let mut metric = [0_u8; 16];
        put(&mut metric[0..8], [TEXT_AT, 4]);
        metric[8..16].copy_from_slice(&self.metric.to_le_bytes());
        let metrics = metric.repeat(self.metrics as usize);
        [
            data(AT, &result),
            data(checks_at, &check),
            data(metrics_at, &metrics),
            data(TEXT_AT, b"only"),
            data(TEXT_AT + 16, self.detail),
        ]
        .concat()
    }

    /// A verifier that always returns this.
    pub(crate) fn always(&self) -> Vec<u8> {
        verifier(&self.text(), &returning(""))
    }
}

/// Code that does something and then returns what lies in memory.
pub(crate) fn returning(code: &str) -> String {
    format!("{code} (i32.const {AT})")
}

/// A verifier that returns an error.
pub(crate) fn declines(message: &str) -> Vec<u8> {
    let mut result = vec![0_u8; 40];
    result[0] = 1;
    put(&mut result[8..16], [TEXT_AT, message.len() as u32]);
    let definitions = [data(AT, &result), data(TEXT_AT, message.as_bytes())].concat();
    verifier(&definitions, &returning(""))
}

/// An honest one: it passes the answers of four bytes.
pub(crate) fn four_bytes() -> Vec<u8> {
    let code = "
      (i32.store8 (i32.const 1032) (i32.eq (local.get $answer_size) (i32.const 4)))
      (i32.store8 (i32.const 1288) (i32.eq (local.get $answer_size) (i32.const 4)))
      (f64.store (i32.const 1040) (f64.convert_i32_u (i32.load8_u (i32.const 1032))))";
    verifier(&Returned::default().text(), &returning(code))
}

fn put(into: &mut [u8], words: [u32; 2]) {
    into[..4].copy_from_slice(&words[0].to_le_bytes());
    into[4..].copy_from_slice(&words[1].to_le_bytes());
}

fn data(at: u32, bytes: &[u8]) -> String {
    let escaped: String = bytes.iter().map(|byte| format!("\\{byte:02x}")).collect();
    format!("(data (i32.const {at}) \"{escaped}\")\n")
}
