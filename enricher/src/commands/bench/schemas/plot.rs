//! The chart: two bars for each hosting, with the spread of the runs.

use super::{Measured, spread};

/// Sizes in pixels.
const LEFT: f64 = 210.0;
const WIDTH: f64 = 460.0;
const ROW: f64 = 58.0;
const BAR: f64 = 18.0;
const TOP: f64 = 64.0;
const MARGIN: f64 = 70.0;

const COLD: &str = "#8fb8de";
const STEADY: &str = "#1f6fb2";

/// Draws it.
pub(super) fn svg(measured: &[Measured]) -> String {
    let most = measured.iter().flat_map(|m| m.runs.iter().map(|run| run.steady.max(run.cold)));
    let most = most.fold(1.0, f64::max);
    let height = TOP + ROW * measured.len() as f64 + 30.0;
    let width = LEFT + WIDTH + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\">Events per second by where schemas are kept\
         </text>\n"
    );
    legend(&mut out);
    for (index, Measured { name, runs }) in measured.iter().enumerate() {
        let top = TOP + ROW * index as f64;
        let label = top + BAR + 4.0;
        out.push_str(&format!(
            "<text x=\"{}\" y=\"{label}\" text-anchor=\"end\">{name}</text>\n",
            LEFT - 12.0
        ));
        bar(&mut out, top, COLD, spread(runs, |run| run.cold), most);
        bar(&mut out, top + BAR + 2.0, STEADY, spread(runs, |run| run.steady), most);
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String) {
    let entries = [(COLD, "cold start"), (STEADY, "steady state, schemas renewed every second")];
    let mut x = 16.0;
    for (color, text) in entries {
        out.push_str(&format!(
            "<rect x=\"{x}\" y=\"36\" width=\"12\" height=\"12\" fill=\"{color}\"/>\n\
             <text x=\"{}\" y=\"46\">{text}</text>\n",
            x + 18.0
        ));
        x += 110.0;
    }
}

/// A bar as long as the median, its spread as a line, and the median as a number.
fn bar(out: &mut String, top: f64, color: &str, [least, median, most]: [f64; 3], full: f64) {
    let x = |value: f64| LEFT + WIDTH * value / full;
    let middle = top + BAR / 2.0;
    out.push_str(&format!(
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{color}\"/>\n\
         <line x1=\"{:.1}\" y1=\"{middle}\" x2=\"{:.1}\" y2=\"{middle}\" stroke=\"#222222\"/>\n\
         <text x=\"{:.1}\" y=\"{}\">{median:.0}</text>\n",
        (WIDTH * median / full).max(1.0),
        x(least),
        x(most),
        x(most) + 6.0,
        middle + 4.0,
    ));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Run;
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width() {
        let run = |cold, steady| Run {
            cold,
            steady,
            events: 1,
            waits: 0,
            requests: 0,
            lasted: Duration::from_secs(1),
        };
        let drawn = svg(&[Measured { name: "x", runs: vec![run(50.0, 100.0)] }]);
        assert!(drawn.contains("width=\"460.0\"") && drawn.contains("width=\"230.0\""), "{drawn}");
        assert!(drawn.ends_with("</svg>\n"));
    }
}
