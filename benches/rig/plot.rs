//! Latency against offered rate, drawn: p50 and p99 of each subject, both axes logarithmic.

use std::path::Path;

use guerdon::cli::load::measured::quantiles;
use guerdon::cli::load::pace::Pace;
use plotters::prelude::*;

use crate::report::Curve;

const COLOURS: [RGBColor; 4] =
    [RGBColor(90, 90, 90), RGBColor(31, 119, 180), RGBColor(44, 160, 44), RGBColor(214, 39, 40)];

pub(crate) fn write(path: &Path, curves: &[Curve]) {
    let points = |curve: &Curve, which: usize| -> Vec<(f64, f64)> {
        let point = |measured: &guerdon::cli::load::measured::Measured| {
            let Pace::PerSecond(rate) = measured.pace else { return None };
            Some((rate as f64, quantiles(&measured.all_us()?)[which] as f64 / 1_000.0))
        };
        curve.points.iter().filter_map(point).collect()
    };
    let all: Vec<(f64, f64)> = curves.iter().flat_map(|curve| [points(curve, 0), points(curve, 2)].concat()).collect();
    if all.is_empty() {
        return;
    }
    let span = |of: fn(&(f64, f64)) -> f64| {
        let values = || all.iter().map(of);
        (values().fold(f64::MAX, f64::min) / 1.2)..(values().fold(0.0, f64::max) * 1.2)
    };
    let area = SVGBackend::new(path, (1_000, 600)).into_drawing_area();
    area.fill(&WHITE).unwrap();
    let mut chart = ChartBuilder::on(&area)
        .caption("Latency of a Commit against offered rate (p50 thin, p99 bold)", ("sans-serif", 20))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(60)
        .build_cartesian_2d(span(|p| p.0).log_scale(), span(|p| p.1).log_scale())
        .unwrap();
    chart.configure_mesh().x_desc("calls a second, offered").y_desc("milliseconds").draw().unwrap();
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        chart.draw_series(LineSeries::new(points(curve, 0), colour.stroke_width(1))).unwrap();
        let bold = chart.draw_series(LineSeries::new(points(curve, 2), colour.stroke_width(3))).unwrap();
        bold.label(curve.subject).legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(3)));
    }
    chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).border_style(BLACK).draw().unwrap();
    area.present().unwrap();
}
