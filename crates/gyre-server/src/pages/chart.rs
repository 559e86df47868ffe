//! Charts as SVG, made here: no script draws anything.

use maud::{Markup, html};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 66.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Labels that fit below a chart.
const LABELS_MAX: usize = 14;

/// A bar: what it stands for, its height, and the height in words.
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) value: f64,
    pub(crate) shown: String,
    pub(crate) href: String,
}

/// Amounts over rounds, from 0 up; each bar leads to its round.
pub(crate) fn bars(about: &str, class: &str, bars: &[Bar]) -> Markup {
    let (width, height) = (WIDTH / 2.0, HEIGHT * 0.7);
    let highest = bars.iter().max_by(|a, b| a.value.total_cmp(&b.value));
    let top = highest.map_or(0.0, |bar| bar.value).max(f64::MIN_POSITIVE);
    let step = (width - RIGHT - RIGHT) / bars.len().max(1) as f64;
    let every = bars.len().div_ceil(LABELS_MAX / 2).max(1);
    let (base, room) = (height - BOTTOM, height - BOTTOM - TOP * 2.0);
    html! {
        svg.chart viewBox=(format!("0 0 {width} {height}")) role="group" aria-label=(about) {
            text.axis x=(RIGHT) y=(TOP + 2.0) { "at most " (highest.map_or("–", |bar| bar.shown.as_str())) }
            line.grid x1=(RIGHT) x2=(width - RIGHT) y1=(base) y2=(base) {}
            @for (at, bar) in bars.iter().enumerate() {
                @let tall = (room * bar.value / top).max(0.0);
                @let left = RIGHT + step * at as f64;
                a href=(bar.href) aria-label=(format!("{}: {}", bar.label, bar.shown)) {
                    rect.(class) x=(format!("{:.1}", left + step * 0.12)) width=(format!("{:.1}", step * 0.76)) y=(format!("{:.1}", base - tall)) height=(format!("{tall:.1}")) {
                        title { (bar.label) ": " (bar.shown) }
                    }
                    rect.target x=(format!("{left:.1}")) width=(format!("{step:.1}")) y=(TOP) height=(base - TOP) {}
                }
                @if at % every == 0 { text.axis x=(format!("{:.1}", left + step / 2.0)) y=(height - 12.0) text-anchor="middle" { (bar.label) } }
            }
        }
    }
}

/// Rates of one level, side by side: training, gate part, test part.
pub(crate) struct Level {
    pub(crate) label: String,
    pub(crate) rates: [Option<f64>; 3],
}

/// Rates by level, in the colours of their parts.
pub(crate) fn levels(about: &str, levels: &[Level]) -> Markup {
    const PARTS: [&str; 3] = ["training", "gate", "test"];
    let step = (WIDTH - LEFT - RIGHT) / levels.len().max(1) as f64;
    let room = HEIGHT - TOP - BOTTOM;
    let every = levels.len().div_ceil(LABELS_MAX).max(1);
    let y = |rate: f64| TOP + (1.0 - rate) * room;
    html! {
        svg.chart.wide viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img" aria-label=(about) {
            @for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(tick)) y2=(y(tick)) {}
                text.axis x=(LEFT - 8.0) y=(y(tick) + 4.0) text-anchor="end" { (format!("{:.0}%", 100.0 * tick)) }
            }
            @for (at, Level { label, rates }) in levels.iter().enumerate() {
                @let wide = step * 0.8 / PARTS.len() as f64;
                @for (part, (class, rate)) in PARTS.into_iter().zip(rates).enumerate() {
                    @if let Some(rate) = rate {
                        @let left = LEFT + step * (at as f64 + 0.1) + wide * part as f64;
                        rect.(class) x=(format!("{left:.1}")) width=(format!("{:.1}", wide * 0.9)) y=(format!("{:.1}", y(*rate))) height=(format!("{:.1}", rate * room)) {
                            title { (super::text::hostile(label)) ", " (class) ": " (percent(*rate)) }
                        }
                    }
                }
                @if at % every == 0 { text.axis x=(format!("{:.1}", LEFT + step * (at as f64 + 0.5))) y=(HEIGHT - 12.0) text-anchor="middle" { (super::text::hostile(label)) } }
            }
        }
    }
}

/// A point of a rate over rounds.
pub(crate) struct Point {
    pub(crate) label: String,
    pub(crate) rate: f64,
    pub(crate) interval: [f64; 2],
    pub(crate) marked: bool,
    pub(crate) href: String,
}

/// A rate with its interval over rounds, from 0 to the next tenth above.
pub(crate) fn rates(points: &[Point]) -> Markup {
    let highest = points.iter().map(|point| point.interval[1]).fold(0.1, f64::max);
    let top = ((highest * 10.0).ceil() / 10.0).min(1.0);
    let step = (WIDTH - LEFT - RIGHT) / points.len().max(1) as f64;
    let x = |at: usize| LEFT + step * (at as f64 + 0.5);
    let y = |rate: f64| TOP + (1.0 - rate / top) * (HEIGHT - TOP - BOTTOM);
    let ticks: Vec<f64> = (0..=4).map(|tick| top * f64::from(tick) / 4.0).collect();
    let every = points.len().div_ceil(LABELS_MAX).max(1);
    let cap = (step * 0.35).min(5.0);
    let radius = if points.len() > 40 { "3.5" } else { "6" };
    let line: Vec<_> = points
        .iter()
        .enumerate()
        .map(|(at, point)| format!("{:.1},{:.1}", x(at), y(point.rate)))
        .collect();
    html! {
        svg.chart.wide viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) role="img"
            aria-label="Held-out pass@1 with its 95% interval, by round; the table below says the same" {
            @for tick in ticks {
                line.grid x1=(LEFT) x2=(WIDTH - RIGHT) y1=(y(tick)) y2=(y(tick)) {}
                text.axis x=(LEFT - 8.0) y=(y(tick) + 4.0) text-anchor="end" { (percent(tick)) }
            }
            polyline.trend points=(line.join(" ")) {}
            @for (at, point) in points.iter().enumerate() {
                line.whisker x1=(x(at)) x2=(x(at)) y1=(y(point.interval[0])) y2=(y(point.interval[1])) {}
                @for end in point.interval {
                    line.whisker x1=(x(at) - cap) x2=(x(at) + cap) y1=(y(end)) y2=(y(end)) {}
                }
                a href=(point.href) aria-label=(format!("round {}: {}", point.label, percent(point.rate))) {
                    circle.promoted[point.marked].rejected[!point.marked] cx=(x(at)) cy=(y(point.rate)) r=(radius) {
                        title { (point.label) ": " (percent(point.rate)) " [" (percent(point.interval[0])) ", " (percent(point.interval[1])) "]" }
                    }
                }
                @if at % every == 0 { text.axis x=(x(at)) y=(HEIGHT - 12.0) text-anchor="middle" { (point.label) } }
            }
        }
    }
}

/// Parts of a whole as one bar: class, label and count of each.
pub(crate) fn stacked(parts: &[(&str, &str, u64)]) -> Markup {
    let total: u64 = parts.iter().map(|(_, _, count)| count).sum();
    let share = |count: u64| 100.0 * count as f64 / total.max(1) as f64;
    let starts = parts.iter().scan(0.0, |at, (_, _, count)| {
        let start = *at;
        *at += share(*count);
        Some(start)
    });
    let label: Vec<_> = parts.iter().map(|(_, label, count)| format!("{label} {count}")).collect();
    html! {
        svg.bar viewBox="0 0 100 4" preserveAspectRatio="none" role="img" aria-label=(label.join(", ")) {
            rect.track x="0" y="0" width="100" height="4" {}
            @for ((class, _, count), start) in parts.iter().zip(starts) {
                rect class=(class) x=(format!("{start:.3}")) y="0" width=(format!("{:.3}", share(*count))) height="4" {}
            }
        }
    }
}

/// A share as a bar.
pub(crate) fn share(rate: f64) -> Markup {
    html! {
        svg.bar viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="0" width="100" height="4" {}
            rect.pass x="0" y="0" width=(format!("{:.2}", 100.0 * rate.clamp(0.0, 1.0))) height="4" {}
        }
    }
}

/// `41.2%`.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", 100.0 * share)
}

/// `12 345`, in groups that no line breaks.
pub(crate) fn count(n: u64) -> String {
    gyre_orchestrator::shown::grouped(n, '\u{202f}')
}
