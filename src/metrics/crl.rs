//! What is told of CRLs: no issuer's name, only how many, how old, and what cannot be used.

use std::fmt;
use std::sync::{Arc, OnceLock};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

/// How much there is of CRLs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct CrlFigures {
    /// Lists in force.
    pub lists: usize,
    /// Serials on them.
    pub entries: usize,
    /// Files of CRLs or CAs that could not be used at the last look.
    pub unusable_files: usize,
}

/// How old the lists in force are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CrlTimes {
    /// Since the oldest one's thisUpdate.
    pub oldest_age_seconds: i64,
    /// To the first nextUpdate; negative once it has passed.
    pub next_update_seconds: i64,
    /// The smallest part of a list's life, from thisUpdate to nextUpdate, that is left, in
    /// thousandths; negative once it is over.
    pub life_left_thousandths: i64,
}

type Source = Box<dyn Fn() -> Option<CrlTimes> + Send + Sync>;

/// The times when somebody looks.
#[derive(Clone, Default)]
pub(super) struct CrlClock {
    pub(super) source: Arc<OnceLock<Source>>,
}

impl fmt::Debug for CrlClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CrlClock(..)")
    }
}

impl Collector for CrlClock {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let times = self.source.get().and_then(|times| times());
        // Without any list nothing is old and nothing comes to its end.
        #[expect(clippy::cast_precision_loss, reason = "seconds of centuries fit 52 bits")]
        let age = times.map_or(0.0, |times| times.oldest_age_seconds as f64);
        #[expect(clippy::cast_precision_loss, reason = "seconds of centuries fit 52 bits")]
        let left = times.map_or(f64::INFINITY, |times| times.next_update_seconds as f64);
        let oldest = encoder.encode_descriptor(
            "crl_oldest_age_seconds",
            "Age of the oldest CRL in force: time since its thisUpdate.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(age).encode(oldest)?;
        let next = encoder.encode_descriptor(
            "crl_next_update_seconds",
            "Time to the first nextUpdate of a CRL in force; negative once it has passed.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(left).encode(next)?;
        #[expect(clippy::cast_precision_loss, reason = "thousandths of centuries fit 52 bits")]
        let life = times.map_or(1.0, |times| times.life_left_thousandths as f64 / 1000.0);
        let life_left = encoder.encode_descriptor(
            "crl_life_left_ratio",
            "Smallest part of a CRL's life that is left: 1 at thisUpdate, 0 at nextUpdate, negative \
             after it.",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(life).encode(life_left)
    }
}
