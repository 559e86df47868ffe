//! The lines in which a trainer reports its progress.

use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::TrainProgress;

/// Other keys of a line of progress.
type Extra = Map<String, Value>;

/// Reports progress as it arrives, and keeps the last.
pub(super) struct Progress<'a> {
    report: &'a mut (dyn FnMut(TrainProgress) + Send),
    last: Option<TrainProgress>,
    extra: Extra,
}

impl<'a> Progress<'a> {
    pub(super) fn new(report: &'a mut (dyn FnMut(TrainProgress) + Send)) -> Self {
        Self { report, last: None, extra: Extra::new() }
    }

    /// Waits for the next line; false when there are no more.
    pub(super) async fn receive(&mut self, lines: &mut mpsc::Receiver<Vec<u8>>) -> bool {
        let Some(line) = lines.recv().await else { return false };
        if let Some((progress, extra)) = parse(&line) {
            (self.report)(progress.clone());
            (self.last, self.extra) = (Some(progress), extra);
        }
        true
    }

    /// The last progress, and the other keys of its line.
    pub(super) fn finish(self) -> (Option<TrainProgress>, Extra) {
        (self.last, self.extra)
    }
}

/// Reads a line of progress: a JSON object with a `step`. Everything else is log.
fn parse(line: &[u8]) -> Option<(TrainProgress, Extra)> {
    let text = std::str::from_utf8(line).ok()?;
    let mut object =
        match serde_json::from_str(text).or_else(|_| serde_json::from_str(&quoted(text))) {
            Ok(Value::Object(object)) => object,
            _ => return None,
        };
    let progress = TrainProgress {
        step: whole(&object.remove("step")?)?,
        steps: object.remove("steps").as_ref().and_then(whole),
        loss: object.remove("loss").as_ref().and_then(number),
        tokens: object.remove("tokens").as_ref().and_then(whole),
    };
    Some((progress, object))
}

/// Python writes losses that are not finite as words that JSON does not have.
fn quoted(text: &str) -> String {
    let text = text.replace("NaN", "\"NaN\"");
    text.replace("-Infinity", "\"-inf\"").replace("Infinity", "\"inf\"")
}

/// A count. Some trainers write it as a float.
fn whole(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let float = value.as_f64().filter(|float| (0.0..=1e15).contains(float))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it lies between 0 and 1e15"
        )]
        Some(float as u64)
    })
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<TrainProgress> {
        parse(line.as_bytes()).map(|(progress, _)| progress)
    }

    #[test]
    fn progress_is_an_object_with_a_step() {
        let whole = r#"{"step": 12, "steps": 90, "loss": 0.41, "tokens": 10240}"#;
        let steps = TrainProgress { step: 12, steps: Some(90), ..Default::default() };
        let last = TrainProgress { loss: Some(0.41), tokens: Some(10_240), ..steps };
        assert_eq!(read(whole), Some(last));
        let third = TrainProgress { step: 3, ..Default::default() };
        assert_eq!(read(r#" {"step": 3.0, "loss": null}"#), Some(third));
        for log in
            [r#"{"loss": 1}"#, "{step: 1}", "{", "[1]", r#"{"step": -1}"#, r#"{"step": "1"}"#]
        {
            assert_eq!(read(log), None, "{log}");
        }
        let (_, extra) = parse(br#"{"step": 1, "lr": 0.1, "note": "x"}"#).unwrap();
        assert_eq!(serde_json::to_string(&extra).unwrap(), r#"{"lr":0.1,"note":"x"}"#);
        assert!(parse(b"{\"step\": 1, \"x\": \"\xff\"}").is_none());
    }

    #[test]
    fn a_loss_that_is_not_finite_is_reported() {
        let loss =
            |text: &str| read(&format!(r#"{{"step": 1, "loss": {text}}}"#)).unwrap().loss.unwrap();
        assert!(loss("NaN").is_nan());
        assert_eq!(loss("Infinity"), f64::INFINITY);
        assert_eq!(loss("-Infinity"), f64::NEG_INFINITY);
    }
}
