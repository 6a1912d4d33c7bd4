//! Line charts as SVG text, to be embedded in the page.
use plotters::{
    coord::{
        ranged1d::{DefaultFormatting, KeyPointHint, Ranged},
        types::RangedCoordf64,
    },
    prelude::*,
};
use std::ops::Range;

const SIZE: (u32, u32) = (1_080, 300);
const INK: RGBColor = RGBColor(0x57, 0x60, 0x6a);
const GRID: RGBColor = RGBColor(0xea, 0xee, 0xf2);
const BAND: RGBColor = RGBColor(0xf6, 0xf8, 0xfa);

/// One line of a chart. Where a point has no value, the line has a gap.
pub struct Line {
    pub name: &'static str,
    pub colour: RGBColor,
    pub points: Vec<(f64, Option<f64>)>,
}

/// A stretch of the x axis with a name.
pub struct Band {
    pub name: String,
    pub from: f64,
    pub to: f64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

pub struct Chart<'a> {
    pub lines: &'a [Line],
    pub bands: &'a [Band],
    pub scale: Scale,
    /// The unit of the y axis.
    pub unit: &'a str,
    pub x: Axis,
    /// The part of the x axis that is shown; where the points lie, if none is given.
    pub shown: Option<(f64, f64)>,
}

#[derive(Clone, Copy)]
pub enum Axis {
    Seconds,
    /// Quantiles, spread by their number of nines.
    Nines,
}

impl Chart<'_> {
    /// The chart as SVG; empty if there is nothing to draw.
    pub fn svg(&self) -> String {
        let mut text = String::new();
        if self.draw(&mut text).is_err() {
            text.clear();
        }
        text
    }

    fn draw(&self, text: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let (xs, ys) = (self.range(|point| Some(point.0)), self.range(|point| point.1));
        let (Some((mut left, mut right)), Some((low, high))) = (xs, ys) else { return Ok(()) };
        if let Some((from, to)) = self.shown {
            (left, right) = (from, to);
        }
        let ticks = ticks(self.scale, low, high);
        let (Some(bottom), Some(top)) = (ticks.first().copied(), ticks.last().copied()) else { return Ok(()) };
        let scaled = |y: f64| if self.scale == Scale::Log { y.max(bottom).log10() } else { y };
        let keys: Vec<f64> = ticks.iter().map(|tick| scaled(*tick)).collect();
        let (bottom, top) = (scaled(bottom), scaled(top));

        let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
        let mut chart = ChartBuilder::on(&root)
            .margin(6)
            .margin_right(14)
            .x_label_area_size(26)
            .y_label_area_size(62)
            .build_cartesian_2d(
                Ticked { axis: (left..right).into(), ticks: self.x_keys(left, right) },
                Ticked { axis: (bottom..top).into(), ticks: keys },
            )?;
        for (index, band) in self.bands.iter().enumerate() {
            if index % 2 == 0 {
                chart.draw_series([Rectangle::new([(band.from, bottom), (band.to, top)], BAND.filled())])?;
            }
        }
        chart
            .configure_mesh()
            .bold_line_style(GRID)
            .light_line_style(TRANSPARENT)
            .axis_style(GRID)
            .label_style(("sans-serif", 12).into_font().color(&INK))
            .x_label_formatter(&|x| self.x_label(*x))
            .y_label_formatter(&|y| {
                format!("{} {}", number(if self.scale == Scale::Log { 10f64.powf(*y) } else { *y }), self.unit)
            })
            .draw()?;
        for band in self.bands {
            let style = ("sans-serif", 11).into_font().color(&INK);
            chart.draw_series([Text::new(band.name.clone(), (band.from + (right - left) * 0.003, top), style)])?;
        }
        for line in self.lines {
            for run in line.points.split(|point| point.1.is_none()) {
                let points = run.iter().filter_map(|point| Some((point.0, scaled(point.1?))));
                chart.draw_series(LineSeries::new(points, line.colour.stroke_width(2)))?;
            }
        }
        root.present()?;
        drop(chart);
        drop(root);
        Ok(())
    }

    fn range(&self, of: impl Fn(&(f64, Option<f64>)) -> Option<f64>) -> Option<(f64, f64)> {
        let values = self.lines.iter().flat_map(|line| &line.points).filter_map(of);
        values.fold(None, |range, value| {
            Some(range.map_or((value, value), |(low, high): (f64, f64)| (low.min(value), high.max(value))))
        })
    }

    fn x_keys(&self, left: f64, right: f64) -> Vec<f64> {
        match self.x {
            Axis::Seconds => linear_ticks(left, right, 12.0),
            Axis::Nines => (0..=right as u32).map(f64::from).collect(),
        }
    }

    fn x_label(&self, x: f64) -> String {
        match self.x {
            Axis::Seconds => format!("{x:.0} s"),
            Axis::Nines if x < 0.5 => "0%".to_owned(),
            Axis::Nines => format!("{}%", 100.0 - 10f64.powf(2.0 - x)),
        }
    }
}

/// An axis with the ticks that it is given.
struct Ticked {
    axis: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Ranged for Ticked {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.axis.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.axis.range()
    }
}

/// The place of a quantile on an axis of nines: 1 for 0.9, 2 for 0.99.
pub fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).max(1e-6).log10()
}

fn ticks(scale: Scale, low: f64, high: f64) -> Vec<f64> {
    match scale {
        Scale::Linear => linear_ticks(0.0, high.max(1e-9), 5.0),
        Scale::Log => {
            let (low, high) = (low.max(0.05), high.max(0.1));
            let mut ticks = Vec::new();
            let mut decade = 10f64.powf(low.log10().floor());
            while decade <= high * 10.0 {
                ticks.extend([1.0, 2.0, 5.0].map(|step| step * decade));
                decade *= 10.0;
            }
            let first = ticks.iter().rposition(|tick| *tick <= low).unwrap_or(0);
            let last = ticks.iter().position(|tick| *tick >= high).unwrap_or(ticks.len().saturating_sub(1));
            ticks.into_iter().take(last + 1).skip(first).collect()
        }
    }
}

/// Round numbers from `low` to at least `high`.
fn linear_ticks(low: f64, high: f64, about: f64) -> Vec<f64> {
    let rough = ((high - low) / about).max(1e-9);
    let decade = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|step| *step >= rough).unwrap_or(rough);
    let count = ((high - low) / step).ceil() as usize;
    (0..=count).map(|n| low + n as f64 * step).collect()
}

fn number(value: f64) -> String {
    if value >= 10.0 || value == 0.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.2}").trim_end_matches('0').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_ticks_that_hold_the_data() {
        assert_eq!(ticks(Scale::Linear, 3.0, 9.0), [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]);
        assert_eq!(ticks(Scale::Log, 0.7, 130.0), [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0]);
    }

    #[test]
    fn draws_its_lines_and_survives_having_none() {
        let points = vec![(0.0, Some(1.0)), (1.0, None), (2.0, Some(30.0)), (3.0, Some(20.0))];
        let lines = [Line { name: "p99", colour: RGBColor(1, 2, 3), points }];
        let bands = [Band { name: "burst".to_owned(), from: 0.0, to: 3.0 }];
        let chart = Chart {
            lines: &lines,
            bands: &bands,
            scale: Scale::Log,
            unit: "ms",
            x: Axis::Seconds,
            shown: None,
        };
        let svg = chart.svg();
        assert!(svg.starts_with("<svg") && svg.contains("polyline") && svg.contains("burst"), "{svg}");
        assert_eq!(Chart { lines: &[], ..chart }.svg(), "");
    }

    #[test]
    fn nines_spread_the_tail() {
        assert!((nines(0.99) - 2.0).abs() < 1e-9);
        assert!((nines(1.0) - 6.0).abs() < 1e-9);
    }
}
