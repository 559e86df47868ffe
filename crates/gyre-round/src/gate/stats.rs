use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PairTable;

/// A closed interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// Its low end.
    pub low: f64,
    /// Its high end.
    pub high: f64,
}

impl Interval {
    /// Whether `value` lies in it, the ends included.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The confidence of a two-sided interval.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Confidence {
    /// 60%: each side alone 80%.
    P60,
    /// 80%: each side alone 90%.
    P80,
    /// 90%: each side alone 95%.
    P90,
    /// 95%.
    P95,
    /// 99%.
    P99,
}

impl Confidence {
    /// The standard normal quantile that leaves half the doubt above it.
    pub fn z(self) -> f64 {
        match self {
            Self::P60 => 0.841_621_233_572_914_3,
            Self::P80 => 1.281_551_565_544_600_4,
            Self::P90 => 1.644_853_626_951_471_5,
            Self::P95 => 1.959_963_984_540_053_6,
            Self::P99 => 2.575_829_303_548_9,
        }
    }
}

/// The interval of a proportion by Wilson's score method (E. B. Wilson, *JASA*
/// 22, 1927), without continuity correction.
///
/// Nothing observed (`n` = 0) gives the whole range. More successes than
/// observations count as all of them.
pub fn wilson(successes: u64, n: u64, confidence: Confidence) -> Interval {
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let successes = successes.min(n);
    let (n_f, z) = (n as f64, confidence.z());
    let p = successes as f64 / n_f;
    let scale = 1.0 + z * z / n_f;
    let centre = (p + z * z / (2.0 * n_f)) / scale;
    let half = z * (p * (1.0 - p) / n_f + z * z / (4.0 * n_f * n_f)).sqrt() / scale;
    // The ends are exact where rounding would leave 1e-17 of doubt.
    let low = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if successes == n { 1.0 } else { (centre + half).min(1.0) };
    Interval { low, high }
}

/// The exact one-sided bounds of a proportion (C. J. Clopper and E. S. Pearson,
/// *Biometrika* 26, 1934): each end lies on the wrong side of the truth with
/// probability `alpha` at most.
///
/// Nothing observed gives the whole range. The cost is that of some sixty sums
/// over at most `n` terms.
pub fn exact_interval(successes: u64, n: u64, alpha: f64) -> Interval {
    if n == 0 {
        return Interval { low: 0.0, high: 1.0 };
    }
    let successes = successes.min(n);
    let low = match successes {
        0 => 0.0,
        hits => solve(alpha, &|p| at_least(hits, n, p)),
    };
    // Few successes at a high rate are many failures at a low one.
    let high = match n - successes {
        0 => 1.0,
        misses => 1.0 - solve(alpha, &|p| at_least(misses, n, p)),
    };
    Interval { low, high }
}

/// Where a rising function of a probability reaches `level`, from below.
fn solve(level: f64, rising: &dyn Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = low.midpoint(high);
        if rising(middle) < level { low = middle } else { high = middle }
    }
    low
}

/// P(X >= `hits`) of `n` trials that each succeed with probability `p`.
fn at_least(hits: u64, n: u64, p: f64) -> f64 {
    if hits == 0 || p >= 1.0 {
        return 1.0;
    }
    if p <= 0.0 {
        return 0.0;
    }
    // Terms fall from the one nearest to the mean: sum that tail.
    if hits as f64 > n as f64 * p {
        tail(hits, n, p)
    } else {
        (1.0 - tail(n - hits + 1, n, 1.0 - p)).clamp(0.0, 1.0)
    }
}

/// P(X >= `hits`) where `hits` lies above the mean.
fn tail(hits: u64, n: u64, p: f64) -> f64 {
    let ln_first = ln_choose(n, hits) + hits as f64 * p.ln() + (n - hits) as f64 * (-p).ln_1p();
    let (mut term, mut sum) = (1.0, 1.0);
    for k in hits..n {
        term *= (n - k) as f64 / (k + 1) as f64 * (p / (1.0 - p));
        sum += term;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    (ln_first + f64::ln(sum)).exp().min(1.0)
}

/// The interval of the difference between two paired proportions (candidate
/// minus champion), by Agresti and Min's adjusted Wald method, "Wald+2"
/// (*Statistics in Medicine* 24, 2005): half an observation is added to each
/// cell of the table. Cut to -1..1.
pub fn paired_interval(table: &PairTable, confidence: Confidence) -> Interval {
    let n = table.n as f64 + 2.0;
    let (wins, losses) = (table.wins as f64 + 0.5, table.losses as f64 + 0.5);
    let gain = (wins - losses) / n;
    let variance = ((wins + losses) - (wins - losses) * (wins - losses) / n).max(0.0);
    let half = confidence.z() * variance.sqrt() / n;
    Interval { low: (gain - half).max(-1.0), high: (gain + half).min(1.0) }
}

/// The one-sided exact McNemar p-value: the probability of at least so many
/// wins among the tasks on which the two differ, were each as likely a loss.
///
/// The binomial tail is summed from its largest term, which alone is taken in
/// logarithms: relative error below 1e-9 up to 100,000 discordant pairs. The
/// cost is linear in their number.
pub fn mcnemar_p_value(wins: u64, losses: u64) -> f64 {
    if wins == 0 {
        return 1.0;
    }
    if wins > losses {
        upper_tail(wins, losses)
    } else {
        // By symmetry P(X >= wins) = 1 - P(X >= losses + 1), and the upper tail
        // is the one whose terms fall from the first.
        (1.0 - upper_tail(losses + 1, wins - 1)).clamp(0.0, 1.0)
    }
}

/// P(X >= hits) of a fair binomial over `hits + misses` trials, `hits > misses`.
fn upper_tail(hits: u64, misses: u64) -> f64 {
    let trials = hits + misses;
    let ln_first = ln_choose(trials, misses) - trials as f64 * std::f64::consts::LN_2;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in hits..trials {
        term *= (trials - k) as f64 / (k + 1) as f64;
        sum += term;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    (ln_first + f64::ln(sum)).exp().min(1.0)
}

/// ln of the binomial coefficient, `k <= n`, with compensated summation.
fn ln_choose(n: u64, k: u64) -> f64 {
    let k = k.min(n - k);
    let (mut sum, mut lost) = (0.0, 0.0);
    for i in 1..=k {
        let y = ((n - k + i) as f64 / i as f64).ln() - lost;
        let next = sum + y;
        lost = (next - sum) - y;
        sum = next;
    }
    sum
}

/// The unbiased estimate of pass@k from `passes` among `samples` (Chen et al.,
/// *Evaluating Large Language Models Trained on Code*, 2021).
///
/// `None` where it cannot be estimated: `k` = 0, fewer than `k` samples, or
/// more passes than samples.
pub fn pass_at_k(samples: u64, passes: u64, k: u64) -> Option<f64> {
    if k == 0 || k > samples || passes > samples {
        return None;
    }
    let fails = samples - passes;
    if fails < k {
        return Some(1.0);
    }
    let all_fail: f64 = (fails + 1..=samples).map(|i| 1.0 - k as f64 / i as f64).product();
    Some(1.0 - all_fail)
}
