//! The plot: processor time of a request, one panel a case, each to its own scale. Readable in light and dark.

use std::fmt::Write as _;

use crate::cases::Case;
use crate::report::short;
use crate::results::{Contender, Measured, Results};

/// The cases that tell most.
const SHOWN: [&str; 7] = [
    "tls13-rsa-full",
    "tls13-rsa-resumed",
    "tls12-rsa-full",
    "tls13-ecdsa-full",
    "tls13-rsa-full-cold",
    "plain-close",
    "plain-keep-alive",
];

/// In pixels of the picture's own.
const WIDTH: f64 = 760.0;
const LEFT: f64 = 150.0;
const LONGEST: f64 = 470.0;
const BAR: f64 = 16.0;
const STEP: f64 = 22.0;
const TITLE: f64 = 34.0;

/// Presentation only: servers are told apart by their names.
const STYLE: &str = "text { font: 13px system-ui, sans-serif; fill: #24292f } .title { font-weight: 600 } \
     .bar { fill: #8c959f } .own { fill: #0969da } .beyond { fill: none; stroke: #8c959f; stroke-dasharray: 3 3 } \
     .spread { stroke: #24292f; stroke-width: 1.5 } \
     @media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .bar { fill: #6e7681 } .own { fill: #4493f8 } \
     .beyond { stroke: #6e7681 } .spread { stroke: #e6edf3 } }";

pub fn draw(cases: &[Case], results: &Results) -> String {
    let mut body = String::new();
    let mut top = 10.0;
    for name in SHOWN {
        let case = cases.iter().find(|case| case.name == name).unwrap();
        if let Some(measured) = results.cases.get(name) {
            top = panel(&mut body, top, case, measured);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {top:.0}\" role=\"img\" \
         aria-label=\"Processor time of a request, by case and server\">\n<style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// Draws one case, and gives where the next begins.
fn panel(body: &mut String, top: f64, case: &Case, measured: &Measured) -> f64 {
    let line = top + TITLE - 12.0;
    let _ = writeln!(
        body,
        "<text class=\"title\" x=\"10\" y=\"{line:.0}\">{}: {} (µs)</text>",
        case.name,
        case.about.replace('&', "&amp;")
    );
    // What is many times as long as all others would leave nothing to see of them: it is cut off, and says so.
    let mut all: Vec<f64> = measured.contenders.iter().filter_map(|one| Some(one.cpu()?.most)).collect();
    all.sort_by(f64::total_cmp);
    let longest = match all.as_slice() {
        [.., second, most] if *most > 2.0 * second => second * 1.3,
        [.., most] => *most,
        [] => return top,
    };
    let mut at = top + TITLE;
    for contender in &measured.contenders {
        bar(body, at, longest, contender);
        at += STEP;
    }
    at + 8.0
}

fn bar(body: &mut String, at: f64, longest: f64, contender: &Contender) {
    let text = at + 13.0;
    let _ =
        writeln!(body, "<text x=\"{:.0}\" y=\"{text:.0}\" text-anchor=\"end\">{}</text>", LEFT - 8.0, contender.label);
    let Some(cpu) = contender.cpu() else {
        let _ = writeln!(body, "<text x=\"{LEFT:.0}\" y=\"{text:.0}\">not installed</text>");
        return;
    };
    let x = |value: f64| LEFT + (value / longest).min(1.0) * LONGEST;
    let width = x(cpu.median) - LEFT;
    let class = match contender.label.as_str() {
        "resyncd" => "own",
        _ if cpu.median > longest => "beyond",
        _ => "bar",
    };
    let _ = writeln!(
        body,
        "<rect class=\"{class}\" x=\"{LEFT:.0}\" y=\"{at:.1}\" width=\"{width:.1}\" height=\"{BAR:.0}\"/>"
    );
    if cpu.median <= longest {
        let (left, right, middle) = (x(cpu.least), x(cpu.most), at + BAR / 2.0);
        let _ = writeln!(
            body,
            "<line class=\"spread\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>"
        );
    }
    let after = x(cpu.most) + 8.0;
    let _ = writeln!(body, "<text x=\"{after:.0}\" y=\"{text:.0}\">{}</text>", short(cpu.median));
}
