//! When things happened, and what could have been.

use std::collections::BTreeMap;
use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::Value;

/// Ticks of /proc in a second, on every Linux.
const TICKS: f64 = 100.0;

/// The command line of what runs guests.
const GUESTS: &str = "__sandbox-worker";

/// An answer as the server's log has it, in seconds since 1970.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Answer {
    pub(super) came: f64,
    pub(super) answered: f64,
    /// How long it was meant to take.
    pub(super) meant: f64,
}

impl Answer {
    pub(super) fn read(line: &str) -> Result<Self, String> {
        serde_json::from_str(line).map_err(|error| format!("the server's log: {error}: {line}"))
    }
}

/// The time, as the server's log has it.
#[expect(clippy::disallowed_methods, reason = "this measures, and decides nothing")]
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// When the first round that attempts tasks did what, as its lines arrive.
pub(super) struct Moments {
    process: u32,
    planned: Option<f64>,
    opened: Option<(f64, f64)>,
    verified: Option<(f64, f64)>,
    finished: Option<f64>,
}

impl Moments {
    pub(super) fn new(process: u32) -> Self {
        Self { process, planned: None, opened: None, verified: None, finished: None }
    }

    pub(super) fn take(&mut self, line: &str) {
        let now = now();
        let Ok(event) = serde_json::from_str::<Value>(line) else { return };
        let round = event["round"].as_u64().or_else(|| event["summary"]["round"].as_u64());
        if round != Some(1) {
            return;
        }
        match event["event"].as_str() {
            Some("planned") => self.planned = Some(now),
            Some("phase_opened") => self.opened = Some((now, guests_seconds(self.process))),
            Some("wave_verified") => self.verified = Some((now, guests_seconds(self.process))),
            Some("round_finished") => self.finished = Some(now),
            _ => {}
        }
    }

    /// When the attempts began, and when the last one was judged.
    pub(super) fn attempts(&self) -> Option<(f64, f64)> {
        Some((self.opened?.0, self.verified?.0))
    }

    /// CPU time of guests meanwhile.
    pub(super) fn sandbox_seconds(&self) -> f64 {
        let seconds = |moment: Option<(f64, f64)>| moment.map_or(0.0, |(_, seconds)| seconds);
        seconds(self.verified) - seconds(self.opened)
    }

    pub(super) fn round_seconds(&self) -> f64 {
        self.finished.unwrap_or_default() - self.planned.unwrap_or_default()
    }
}

/// CPU time of a process's children that run guests, in seconds.
fn guests_seconds(process: u32) -> f64 {
    let Ok(entries) = fs::read_dir("/proc") else { return 0.0 };
    let seconds = |entry: fs::DirEntry| {
        let line = fs::read_to_string(entry.path().join("cmdline")).ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name before it may hold any characters, parentheses too.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<f64>().ok();
        let is_guest = number(1)? as u32 == process && line.contains(GUESTS);
        is_guest.then_some((number(11)? + number(12)?) / TICKS)
    };
    entries.flatten().filter_map(seconds).sum()
}

/// The shortest time in which so many slots can give answers that take so long:
/// no less than the longest one, and no less than all of them divided evenly.
pub(super) fn ideal(latencies: &[f64], slots: usize) -> f64 {
    let longest = latencies.iter().copied().fold(0.0, f64::max);
    longest.max(latencies.iter().sum::<f64>() / slots as f64)
}

/// What answers take where each one takes the first slot that is free, in the order
/// in which they were asked for: the best that can be done without knowing how long
/// each will take.
pub(super) fn as_they_came(answers: &[&Answer], slots: usize) -> f64 {
    let mut answers = answers.to_vec();
    answers.sort_by(|a, b| a.came.total_cmp(&b.came));
    let mut free = vec![0.0_f64; slots];
    for answer in answers {
        free.sort_by(f64::total_cmp);
        free[0] += answer.meant;
    }
    free.into_iter().fold(0.0, f64::max)
}

/// How long between two moments no request was under way.
pub(super) fn unasked(answers: &[&Answer], begun: f64, ended: f64) -> f64 {
    // How many are under way changes by so much at each moment, by microseconds.
    let at = |seconds: f64| (seconds.clamp(begun, ended) * 1e6) as u64;
    let mut changes = BTreeMap::<u64, i64>::new();
    for answer in answers {
        *changes.entry(at(answer.came)).or_default() += 1;
        *changes.entry(at(answer.answered)).or_default() -= 1;
    }
    let (mut last, mut under_way, mut idle) = (at(begun), 0, 0);
    for (moment, change) in changes {
        if under_way == 0 {
            idle += moment - last;
        }
        (last, under_way) = (moment, under_way + change);
    }
    (idle + at(ended) - last) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ideal_is_bound_by_the_longest_answer_and_by_the_slots() {
        assert!((ideal(&[1.0; 8], 4) - 2.0).abs() < 1e-9);
        assert!((ideal(&[1.0, 1.0, 7.0], 4) - 7.0).abs() < 1e-9);
    }

    #[test]
    fn an_answer_takes_the_first_slot_that_is_free() {
        let answer = |came, meant| Answer { came, answered: came + meant, meant };
        let (long, short, last) = (answer(0.0, 3.0), answer(0.1, 1.0), answer(0.2, 4.0));
        assert!((as_they_came(&[&last, &long, &short], 2) - 5.0).abs() < 1e-9);
    }

    #[test]
    fn time_without_requests_is_what_no_answer_covers() {
        let answer = |came, answered| Answer { came, answered, meant: answered - came };
        let (first, beside, later) = (answer(1.0, 3.0), answer(2.0, 4.0), answer(6.0, 7.0));
        let idle = unasked(&[&later, &first, &beside], 0.0, 10.0);
        assert!((idle - 6.0).abs() < 1e-3, "{idle}");
    }
}
