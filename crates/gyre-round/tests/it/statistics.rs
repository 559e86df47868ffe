use gyre_round::{Confidence, PairTable, mcnemar_p_value, paired_interval, pass_at_k, wilson};
use proptest::prelude::*;

#[track_caller]
fn close(left: f64, right: f64, relative: f64) {
    assert!((left - right).abs() <= relative * right.abs().max(1e-12), "{left} is not {right}");
}

/// Reference values are exact binomial sums in whole numbers.
#[test]
fn mcnemar_agrees_with_exact_sums() {
    for (wins, losses, p_value) in [
        (0, 0, 1.0),
        (1, 0, 0.5),
        (9, 1, 11.0 / 1024.0),
        (3, 7, 0.945_312_5),
        (15, 5, 0.020_694_732_666_015_625),
        (44, 20, 0.001_844_982_138_270_024_3),
        (60, 40, 0.028_443_966_820_490_395),
        (500, 500, 0.512_612_509_089_180_4),
        (50_500, 49_500, 0.000_791_179_939_425_797_8),
    ] {
        close(mcnemar_p_value(wins, losses), p_value, 1e-9);
    }
    assert_eq!(mcnemar_p_value(0, 100_000), 1.0);
    close(mcnemar_p_value(1000, 0), 0.5_f64.powi(1000), 1e-9);
    // Below what a float can hold it is 0, and not NaN.
    assert_eq!(mcnemar_p_value(100_000, 0), 0.0);
}

/// R. G. Newcombe, "Two-sided confidence intervals for the single proportion",
/// Statistics in Medicine 17 (1998), table I, method 3.
#[test]
fn wilson_agrees_with_the_literature() {
    for (successes, n, low, high) in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ] {
        let interval = wilson(successes, n, Confidence::P95);
        assert!((interval.low - low).abs() < 6e-5, "{interval:?}");
        assert!((interval.high - high).abs() < 6e-5, "{interval:?}");
    }
    let nothing = wilson(0, 0, Confidence::P95);
    assert_eq!((nothing.low, nothing.high), (0.0, 1.0));
}

/// The example of R's `PropCIs::diffpropci.mp`: 40 and 20 of 160 discordant.
#[test]
fn the_paired_interval_agrees_with_the_literature() {
    let table = PairTable { n: 160, wins: 20, losses: 40, both: 50, neither: 50 };
    let interval = paired_interval(&table, Confidence::P95);
    close(interval.low, -0.216_017_26, 1e-7);
    close(interval.high, -0.030_896_32, 1e-6);
}

#[test]
fn pass_at_k_is_the_unbiased_estimate() {
    assert_eq!(pass_at_k(4, 1, 1), Some(0.25));
    assert_eq!(pass_at_k(4, 0, 4), Some(0.0));
    assert_eq!(pass_at_k(4, 1, 4), Some(1.0));
    // 1 - C(7, 5) / C(10, 5) = 1 - 21/252.
    close(pass_at_k(10, 3, 5).unwrap(), 11.0 / 12.0, 1e-12);
    assert_eq!(pass_at_k(4, 1, 0), None);
    assert_eq!(pass_at_k(4, 1, 5), None);
    assert_eq!(pass_at_k(4, 5, 1), None);
}

proptest! {
    #[test]
    fn the_tail_falls_with_every_win_and_halves_sum_to_one(wins in 1u64..3000, losses in 0u64..3000) {
        let p_value = mcnemar_p_value(wins, losses);
        prop_assert!((0.0..=1.0).contains(&p_value));
        prop_assert!(mcnemar_p_value(wins + 1, losses) <= p_value);
        // P(X >= w) + P(X >= l + 1) = 1 for a fair coin.
        let other = mcnemar_p_value(losses + 1, wins - 1);
        prop_assert!((p_value + other - 1.0).abs() < 1e-9, "{p_value} + {other}");
    }

    #[test]
    fn intervals_hold_their_estimate(n in 1u64..100_000, part in 0.0..=1.0f64) {
        let successes = (part * n as f64) as u64;
        let [narrow, wide] = [Confidence::P80, Confidence::P99].map(|c| wilson(successes, n, c));
        prop_assert!(narrow.contains(successes as f64 / n as f64));
        prop_assert!(0.0 <= wide.low && wide.low <= narrow.low);
        prop_assert!(narrow.high <= wide.high && wide.high <= 1.0);
    }

    #[test]
    fn pass_at_k_grows_with_k(samples in 1u64..50, passes in 0u64..50) {
        let passes = passes.min(samples);
        let curve: Vec<_> = (1..=samples).filter_map(|k| pass_at_k(samples, passes, k)).collect();
        prop_assert_eq!(curve.len() as u64, samples);
        prop_assert!((curve[0] - passes as f64 / samples as f64).abs() < 1e-12);
        prop_assert!(curve.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12));
    }
}
