//! The DNS, as the checks see it.

use std::future::Future;
use std::net::IpAddr;

/// Asks the DNS. Names are given without a dot at the end. The caller's implementation remembers answers and bounds the time.
pub trait Dns: Sync {
    /// Texts of a name, the pieces of each joined.
    fn txt(&self, name: &str) -> impl Future<Output = Result<Vec<Vec<u8>>, Missing>> + Send;
    /// IPv4 addresses.
    fn a(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, Missing>> + Send;
    /// IPv6 addresses.
    fn aaaa(&self, name: &str) -> impl Future<Output = Result<Vec<IpAddr>, Missing>> + Send;
    /// Who takes mail: names of hosts, the preferred first.
    fn mx(&self, name: &str) -> impl Future<Output = Result<Vec<String>, Missing>> + Send;
    /// Names of an address.
    fn ptr(&self, address: IpAddr) -> impl Future<Output = Result<Vec<String>, Missing>> + Send;
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// The name does not exist.
    #[error("no such name")]
    NoName,
    /// The name has no such records.
    #[error("no such record")]
    NoData,
    /// It cannot be found out now, for this reason. Not an answer: who takes it for one lets an attacker switch checks off.
    #[error("{0}")]
    Later(String),
}

impl Missing {
    /// Whether it is known that there is nothing.
    pub fn is_absent(&self) -> bool {
        !matches!(self, Missing::Later(_))
    }
}
