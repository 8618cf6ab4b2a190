//! The DNS for [`authentication`]: our resolver, with what it remembers.

use authentication::{Dns, Missing};
use dns::{Error, Resolver};
use std::net::IpAddr;

/// A resolver, as the checks see it.
pub struct Names(Resolver);

impl Names {
    /// Asks by this resolver.
    pub fn new(resolver: Resolver) -> Names {
        Names(resolver)
    }
}

fn missing(error: Error) -> Missing {
    match error {
        Error::NoName { .. } | Error::NotAName { .. } => Missing::NoName,
        Error::NoData { .. } => Missing::NoData,
        error => Missing::Later(error.to_string()),
    }
}

impl Dns for Names {
    async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, Missing> {
        self.0.txt(name).await.map(|answer| answer.records).map_err(missing)
    }

    async fn a(&self, name: &str) -> Result<Vec<IpAddr>, Missing> {
        self.0.a(name).await.map(|answer| answer.records).map_err(missing)
    }

    async fn aaaa(&self, name: &str) -> Result<Vec<IpAddr>, Missing> {
        self.0.aaaa(name).await.map(|answer| answer.records).map_err(missing)
    }

    async fn mx(&self, name: &str) -> Result<Vec<String>, Missing> {
        let found = self.0.mx(name).await.map_err(missing)?;
        Ok(found.records.into_iter().map(|mx| mx.host).collect())
    }

    async fn ptr(&self, address: IpAddr) -> Result<Vec<String>, Missing> {
        self.0.ptr(address).await.map(|answer| answer.records).map_err(missing)
    }
}
