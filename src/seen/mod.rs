//! What was seen: from the answers of the data plane to rows, through one bounded queue.
//!
//! Layout, in the direction of the flow:
//! * `sampler`: each worker's share: what of an answer is worth telling, and how often;
//! * [`Seen`]: the queue; a full one drops and counts, and nobody ever waits;
//! * `tally`: what has come since the last batch, bounded;
//! * `pen`: writes a batch a second, where the database takes it.
//!
//! Nothing here lets anybody in or keeps anybody out, and no request depends on it.

mod pen;
mod sampler;
mod status;
mod tally;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::time::MissedTickBehavior;

use self::pen::Pen;
pub use self::sampler::Sampler;
pub use self::status::{State, Status};
use self::tally::{Batch, Tally};
use crate::directory::Wish;
use crate::metrics::{Metrics, SeenKind};
use crate::pki::Fingerprint;
use crate::proxy::Shown;
use crate::store::DatabaseUrl;

/// Reports that may wait to be counted: a burst. From the first load on they are taken out at
/// once, whatever the database does. With certificates of a usual size they are 5 MiB.
const MAX_WAITING: usize = 1024;
/// How often a batch is written: soon enough for an operator who looks.
const BATCH_EVERY: Duration = Duration::from_secs(1);
/// How often an empty one is, for what has become too old.
const PRUNE_EVERY: Duration = Duration::from_secs(600);

/// Something that the data plane saw.
#[derive(Debug)]
enum Report {
    Certificate(Sighting),
    Denied(Denied),
    Wish(Box<Wish>),
}

/// A verified certificate came, perhaps several times.
#[derive(Clone, Debug)]
struct Sighting {
    shown: Arc<Shown>,
    hits: u32,
    at: Instant,
    code: &'static str,
    username: Option<Box<str>>,
}

/// A request that was denied.
#[derive(Debug)]
pub struct Denied {
    /// When.
    pub at: Instant,
    /// Why.
    pub code: &'static str,
    /// The certificate, if one was verified.
    pub certificate: Option<Fingerprint>,
    /// The host that the client asked for; nothing if it named none.
    pub host: Option<Box<str>>,
    /// The proxy's number of the request.
    pub request_id: Option<Box<str>>,
    /// The client's address.
    pub peer: Option<IpAddr>,
}

/// Where the data plane leaves what it saw. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Seen {
    queue: Sender<Report>,
    status: Arc<Status>,
    metrics: Metrics,
}

impl Seen {
    /// Leaves whom a rule asks to be added, or drops and counts it; never waits.
    pub fn wish(&self, wish: Wish) {
        self.leave(Report::Wish(Box::new(wish)));
    }

    /// Where the writing stands.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// Whether there was room.
    fn leave(&self, report: Report) -> bool {
        let kind = report.kind();
        let has_room = self.queue.try_send(report).is_ok();
        if !has_room {
            self.drop_one(kind);
        }
        has_room
    }

    fn drop_one(&self, kind: SeenKind) {
        self.metrics.count_seen_dropped(kind, 1);
    }
}

impl Report {
    const fn kind(&self) -> SeenKind {
        match self {
            Self::Certificate(_) => SeenKind::Certificate,
            Self::Denied(_) => SeenKind::Denial,
            Self::Wish(_) => SeenKind::User,
        }
    }
}

/// Counts what comes and writes it.
#[derive(Debug)]
pub struct Writer {
    queue: Receiver<Report>,
    pen: Pen,
    status: Arc<Status>,
    metrics: Metrics,
}

/// A queue and its writer.
#[must_use]
pub fn seen(url: DatabaseUrl, metrics: Metrics) -> (Seen, Writer) {
    let (sender, queue) = mpsc::channel(MAX_WAITING);
    let status = Arc::new(Status::default());
    let pen = Pen::new(url, Arc::clone(&status), metrics.clone());
    let writer = Writer { queue, pen, status: Arc::clone(&status), metrics: metrics.clone() };
    (Seen { queue: sender, status, metrics }, writer)
}

impl Writer {
    /// Counts and writes until nobody can see anything any more. A batch that takes long holds up
    /// the next batch, and never the queue.
    pub async fn run(self) {
        let (batches, written) = mpsc::channel(1);
        let collecting = collect(self.queue, batches, &self.status, &self.metrics);
        tokio::join!(collecting, self.pen.run(written));
    }
}

async fn collect(
    mut queue: Receiver<Report>,
    batches: Sender<Batch>,
    status: &Status,
    metrics: &Metrics,
) {
    let mut tally = Tally::default();
    let mut ticks = tokio::time::interval(BATCH_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut written_at: Option<Instant> = None;
    loop {
        tokio::select! {
            report = queue.recv() => match report {
                Some(report) => {
                    if let Err(kind) = tally.add(report) {
                        metrics.count_seen_dropped(kind, 1);
                    }
                }
                None => return,
            },
            _ = ticks.tick() => {
                // Where nothing can be written, an empty batch finds out when it can again.
                let is_due = written_at.is_none_or(|at| at.elapsed() >= PRUNE_EVERY);
                if tally.is_empty() && !is_due && status.is_writing() {
                    continue;
                }
                if let Ok(room) = batches.try_reserve() {
                    room.send(tally.take());
                    written_at = Some(Instant::now());
                }
            }
        }
    }
}
