//! What operators do that takes more than one row, or judgement: shared by the command line and
//! the API.
//!
//! Values in, values out: it prints nothing, knows neither commands nor HTTP, and reads no clock.

mod last_admin;

pub use last_admin::{Administrators, LastAdministrator};
