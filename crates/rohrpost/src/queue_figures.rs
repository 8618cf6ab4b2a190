//! How much waits for which other server, when somebody asks for the metrics.

use crate::engine::Engine;
use ledger::Depth;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use std::cmp::Reverse;
use std::sync::Arc;

/// Destinations with a figure of their own; the rest is `other`. Whoever sends mail chooses destinations: their number must not grow the page.
const NAMED: usize = 10;

/// The figures.
pub struct QueueFigures(pub Arc<Engine>);

impl std::fmt::Debug for QueueFigures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueueFigures")
    }
}

impl Collector for QueueFigures {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let depths = match self.0.ledger.depths() {
            Ok(depths) => depths,
            Err(e) => {
                tracing::warn!(error = %e, "the queue's figures cannot be read");
                return Ok(());
            }
        };
        let oldest = depths.iter().map(|d| d.oldest).min();
        let age = oldest.map_or(0, |oldest| self.0.ledger.now().saturating_sub(oldest).max(0));
        let metric = ConstGauge::new(age);
        metric.encode(encoder.encode_descriptor(
            "queue_oldest_seconds",
            "Age of the oldest mail that waits for another server",
            None,
            MetricType::Gauge,
        )?)?;
        let mut family = encoder.encode_descriptor(
            "queue_destination",
            "Recipients that wait, for the destinations with the most",
            None,
            MetricType::Gauge,
        )?;
        for (name, rows) in named(depths) {
            let metric = ConstGauge::new(i64::try_from(rows).unwrap_or(i64::MAX));
            metric.encode(family.encode_family(&[("destination", name.as_str())])?)?;
        }
        Ok(())
    }
}

/// The destinations with the most, the most first, and what all others have.
fn named(mut depths: Vec<Depth>) -> Vec<(String, u64)> {
    depths.sort_by_key(|d| Reverse(d.rows));
    let rest: u64 = depths.iter().skip(NAMED).map(|d| d.rows).sum();
    let mut named: Vec<(String, u64)> = depths
        .into_iter()
        .take(NAMED)
        .map(|d| (d.destination.to_string(), d.rows))
        .collect();
    named.push(("other".to_owned(), rest));
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_does_not_grow_with_the_destinations() {
        let depths = (0..100u64)
            .map(|n| Depth {
                destination: format!("d{n}.test").into(),
                rows: n,
                first_due: 0,
                oldest: 0,
                unreachable: None,
            })
            .collect();
        let named = named(depths);
        assert_eq!(named.len(), NAMED + 1);
        assert_eq!(named[0], ("d99.test".to_owned(), 99));
        assert_eq!(named[NAMED], ("other".to_owned(), (0..90).sum()));
    }
}
