//! Acts of operators that take more than one row, or judgement: the command line and the API call
//! the same functions.
//!
//! Values in, values out, within a transaction that the caller commits; a dry run drops it. Nothing
//! here prints, or reads a command line, a request or a clock.
//!
//! Layout:
//! * [`Ground`]: the time and what is configured; [`Standing`]: whose a certificate is;
//! * [`find_certificate`]: one that is known, by fingerprint, serial or name;
//! * [`Approver`], [`approve_all`], [`approve_named`]: gives certificates of the inbox to people; [`likenesses`]: whose
//!   renewal one looks like;
//! * [`block_certificate`], [`remove_user`], [`reissue()`]: a lost key, a leaver, a CA that is
//!   replaced;
//! * [`import`]: many of them from files, by a plan;
//! * [`undo()`]: puts back what the audit says was there;
//! * [`Administrators`]: who could come in as one, so that one is left.

mod approve;
mod authority;
mod binding;
mod find;
mod ground;
pub mod import;
mod last_admin;
mod likeness;
mod lost;
mod naming;
mod old_blocks;
mod reissue;
mod remove;
mod revoke;
mod rollover;
mod standing;
mod undo;
mod wave;

pub use approve::{Approval, ApproveError, Approved, Approver};
pub use authority::Authority;
pub use binding::{Binding, BindingError};
pub use find::{FindError, find_by_fingerprint, find_certificate};
pub use ground::{Ground, Sees};
pub use last_admin::{Administrators, LastAdministrator, Shown};
pub use likeness::{Likeness, Resemblance, likenesses, renewed_user};
pub use lost::{Left, LeftMapping, block_certificate, left_to};
pub use naming::{NameFrom, Named, NamingError};
pub use reissue::{Carried, NotCarried, Reissue, ReissueError, Reissued, reissue};
pub use remove::{RemoveError, Removed, remove_user};
pub use revoke::{RevokeError, revoke_mapping};
pub use rollover::CarriedRule;
pub use standing::Standing;
pub use undo::{UndoError, Undone, undo};
pub use wave::{Choices, Outcome, Skipped, Wave, WaveError, approve_all, approve_named};
