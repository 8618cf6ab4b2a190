//! IMAP clients and what is measured with them.

pub mod growth;
mod mailbox;
pub mod many;
pub mod operations;
mod raw;

pub use mailbox::Mailbox;

use crate::message::Stock;
use anyhow::Result;

/// Where and as whom.
#[derive(Clone, clap::Args)]
pub struct Login {
    /// The IMAP server, host:port.
    #[arg(long)]
    pub imap: String,
    /// Who logs in. `%n` stands for a number where many log in.
    #[arg(long)]
    pub user: String,
    /// Everybody's password.
    #[arg(long, default_value = "secret")]
    pub password: String,
}

impl Login {
    /// The user of that number.
    fn user(&self, number: usize) -> String {
        self.user.replace("%n", &number.to_string())
    }

    /// A connection that is logged in.
    fn open(&self) -> Result<raw::Raw> {
        let mut raw = raw::Raw::connect(&self.imap)?;
        raw.command(&format!("LOGIN \"{}\" \"{}\"", self.user(0), self.password))?;
        Ok(raw)
    }
}

/// A name that no earlier run gave a mailbox.
fn fresh(prefix: &str) -> String {
    let nanos = std::time::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos());
    format!("{prefix}{nanos:x}")
}

/// Messages that are all different.
struct Letters {
    stock: Stock,
    text: Vec<u8>,
}

impl Letters {
    fn new(run: &str) -> Letters {
        Letters {
            stock: Stock::new(7, run.to_owned()),
            text: Vec::new(),
        }
    }

    /// Message number `n`, with line ends as on the wire and a word that only it has.
    fn write(&mut self, n: usize, size: usize) -> &[u8] {
        self.stock.write(n, None, "bench@example.test", size, &mut self.text);
        // The dot that ends SMTP's DATA.
        self.text.truncate(self.text.len().saturating_sub(3));
        self.text.extend_from_slice(format!("needle{n}\r\n").as_bytes());
        &self.text
    }
}
