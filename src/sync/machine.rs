//! Following as a state machine: what happened goes in, what to do next comes out.
//!
//! It must not wait, ask the store or read a clock: moments come with the events. So millions of
//! histories can be played through it, with every fault at every place.

use std::time::{Duration, Instant};

/// Pause before the first new session after a failure.
pub(super) const FIRST_BACK_OFF: Duration = Duration::from_millis(100);
/// Longest pause between sessions: a store that returns is seen within a second.
pub(super) const LAST_BACK_OFF: Duration = Duration::from_millis(500);
/// Longest wait for a notification before the store is asked anyway. Together with the limit of a
/// look it finds a connection that is deaf or half open within 3 s.
pub(super) const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// Where following stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// Between two sessions, after this many failures in a row.
    BackOff { failures: u32 },
    /// A session is being opened: connected, then subscribed.
    Connect { failures: u32 },
    /// What was loaded is published; changes are looked for.
    Follow(Following),
    /// Subscribed, and everything is being read.
    Load { failures: u32 },
}

/// What is under way while following.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Following {
    /// Changes were found and are put into the directory.
    Applying { next_poll: Instant },
    /// The store is asked.
    Looking { next_poll: Instant },
    /// Nothing was new; a notification may come at any moment.
    Waiting { next_poll: Instant },
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    /// The changes are in the directory.
    Applied { at: Instant },
    /// The changes cannot be put in one by one.
    CannotApply,
    /// What was under way failed; the session, if there was one, has ended. `jitter` is any number
    /// from 0 to 1: many followers of one store must not come back all at once.
    Failed { jitter: f64 },
    /// The whole directory is read and published.
    Loaded { at: Instant },
    /// Changes were found.
    LookedChanges,
    /// Only a load tells what is true.
    LookedReload,
    /// Nothing is new.
    LookedSame,
    /// A session is open and subscribed.
    Opened,
    /// The wait or the pause is over, by a notification or by its time.
    Woken { at: Instant },
}

/// What to do next; exactly one thing is ever under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Action {
    /// Put the changes found into the directory and publish it, all at once.
    Apply,
    /// Read everything and publish it.
    Load,
    /// Ask what changed.
    Look,
    /// Connect, and subscribe before anything is read.
    Open,
    /// Forget the session, and do nothing for as long.
    Pause(Duration),
    /// Wait for a notification, but not beyond this moment.
    WaitUntil(Instant),
}

impl State {
    /// Before anything was tried.
    pub(super) const START: (Self, Action) = (Self::Connect { failures: 0 }, Action::Open);

    /// After a load that somebody else has seen to.
    pub(super) fn loaded(at: Instant) -> (Self, Action) {
        look(at)
    }

    /// What an event leads to. An event that does not belong to the state is a gap, and is treated
    /// as a failure: whatever is not understood leads to a new session and a whole load.
    pub(super) fn step(self, event: Event) -> (Self, Action) {
        match (self, event) {
            (Self::BackOff { failures }, Event::Woken { .. }) => {
                (Self::Connect { failures }, Action::Open)
            }
            (Self::Connect { failures }, Event::Opened) => (Self::Load { failures }, Action::Load),
            // What was written while it loaded may have been notified before it was listened for.
            (Self::Load { .. }, Event::Loaded { at }) => look(at),
            (Self::Follow(following), event) => following.step(event),
            (state, event) => state.back_off(event),
        }
    }

    fn back_off(self, event: Event) -> (Self, Action) {
        let failures = match self {
            Self::BackOff { failures } | Self::Connect { failures } | Self::Load { failures } => {
                failures
            }
            Self::Follow(_) => 0,
        };
        let jitter = match event {
            Event::Failed { jitter } => jitter,
            _ => 1.0,
        };
        let pause = pause(failures, jitter);
        (Self::BackOff { failures: failures.saturating_add(1) }, Action::Pause(pause))
    }
}

impl Following {
    fn step(self, event: Event) -> (State, Action) {
        match (self, event) {
            (Self::Waiting { .. }, Event::Woken { at }) => look(at),
            (Self::Looking { next_poll }, Event::LookedSame) => {
                (State::Follow(Self::Waiting { next_poll }), Action::WaitUntil(next_poll))
            }
            (Self::Looking { next_poll }, Event::LookedChanges) => {
                (State::Follow(Self::Applying { next_poll }), Action::Apply)
            }
            (Self::Applying { next_poll }, Event::Applied { at }) => match at < next_poll {
                true => (State::Follow(Self::Waiting { next_poll }), Action::WaitUntil(next_poll)),
                false => look(at),
            },
            (Self::Looking { .. }, Event::LookedReload)
            | (Self::Applying { .. }, Event::CannotApply) => {
                (State::Load { failures: 0 }, Action::Load)
            }
            (following, event) => State::Follow(following).back_off(event),
        }
    }
}

fn look(at: Instant) -> (State, Action) {
    let next_poll = at + POLL_INTERVAL;
    (State::Follow(Following::Looking { next_poll }), Action::Look)
}

/// Twice as long after each failure, up to the cap, and between half of that and all of it.
fn pause(failures: u32, jitter: f64) -> Duration {
    let doubled = 1_u32.checked_shl(failures).unwrap_or(u32::MAX);
    let longest = FIRST_BACK_OFF.saturating_mul(doubled).min(LAST_BACK_OFF);
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 1.0 };
    longest.mul_f64(0.5 + jitter / 2.0)
}
