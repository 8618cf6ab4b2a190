//! Message bytes by their BLAKE3 hash, in append-only segment files. `docs/blobs.md` gives the format and the reasoning.
//!
//! A message is written once, whoever and however many receive it. Callers hash and compress in their own threads; one thread
//! appends everything that waits with a single write and a single fdatasync, and all of it is durable together (group commit). A
//! [`Commit`] is readable at once and says when it is durable.
//!
//! Everything on the disk can be checked: each record has its length, hash and checksums. Only the end of the last segment can be
//! torn by a crash; opening looks through what the index does not know yet and cuts what is torn. The models are Haystack (Beaver
//! et al., OSDI 2010) and Bitcask (Sheehy and Smith, 2010).

mod appender;
mod commit;
mod error;
mod files;
mod id;
mod index;
mod layer;
mod options;
mod reader;
mod reclaim;
mod record;
mod recover;
mod run;
mod segment;
pub mod simulation;
mod state;
mod statistics;
mod store;
mod tidy;
mod verify;
mod writer;

pub use commit::{Commit, Pin};
pub use error::{Error, Result};
pub use id::{BlobId, NotABlobId};
pub use layer::{Disk, File, FileLayer};
pub use options::Options;
pub use reader::Reader;
pub use reclaim::{Mark, Policy, Reclaimed};
pub use statistics::Statistics;
pub use store::Blobs;
pub use verify::{Defect, Finding, VerifySummary};
pub use writer::{BLOB_BYTES_MAX, Writer};
