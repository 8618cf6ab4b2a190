//! A DNS that is a list of lines, and a way to wait for what never waits.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, clippy::expect_used, missing_docs)]

use authentication::{Dns, Missing};
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Lines `NAME TYPE VALUE`; TYPE is TXT, A, AAAA, MX, PTR, or DOWN for a name whose servers do not answer.
#[derive(Default, Clone)]
pub struct Zone(Vec<(String, String, String)>);

impl Zone {
    pub fn new(lines: &str) -> Zone {
        let mut zone = Zone::default();
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            zone.0.push((
                words.next().unwrap().to_ascii_lowercase(),
                words.next().unwrap().to_owned(),
                words.next().unwrap_or_default().to_owned(),
            ));
        }
        zone
    }

    pub fn with(mut self, name: &str, kind: &str, value: &str) -> Zone {
        self.0
            .push((name.to_ascii_lowercase(), kind.to_owned(), value.to_owned()));
        self
    }

    fn find(&self, name: &str, kind: &str) -> Result<Vec<String>, Missing> {
        assert!(!name.ends_with('.') && !name.is_empty(), "{name:?}");
        let name = name.to_ascii_lowercase();
        let here: Vec<_> = self.0.iter().filter(|(n, _, _)| *n == name).collect();
        if here.iter().any(|(_, kind, _)| kind == "DOWN") {
            return Err(Missing::Later("nobody answers".to_owned()));
        }
        let found: Vec<_> = here
            .iter()
            .filter(|(_, k, _)| k == kind)
            .map(|(_, _, v)| v.clone())
            .collect();
        match (found.is_empty(), here.is_empty()) {
            (false, _) => Ok(found),
            (true, true) => Err(Missing::NoName),
            (true, false) => Err(Missing::NoData),
        }
    }

    fn addresses(&self, name: &str, kind: &str) -> Result<Vec<IpAddr>, Missing> {
        Ok(self.find(name, kind)?.iter().map(|a| a.parse().unwrap()).collect())
    }
}

impl Dns for Zone {
    async fn txt(&self, name: &str) -> Result<Vec<Vec<u8>>, Missing> {
        Ok(self.find(name, "TXT")?.into_iter().map(String::into_bytes).collect())
    }
    async fn a(&self, name: &str) -> Result<Vec<IpAddr>, Missing> {
        self.addresses(name, "A")
    }
    async fn aaaa(&self, name: &str) -> Result<Vec<IpAddr>, Missing> {
        self.addresses(name, "AAAA")
    }
    async fn mx(&self, name: &str) -> Result<Vec<String>, Missing> {
        self.find(name, "MX")
    }
    async fn ptr(&self, address: IpAddr) -> Result<Vec<String>, Missing> {
        self.find(&address.to_string(), "PTR")
    }
}

/// Runs what has nothing to wait for.
pub fn now<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

pub const RFC8463: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r
 subject : date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r
 Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r
 d=football.example.com; i=@football.example.com;\r
 q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r
 date : message-id : from : subject : date;\r
 bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r
 b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r
 DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r
 dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r
From: Joe SixPack <joe@football.example.com>\r
To: Suzie Q <suzie@shopping.example.net>\r
Subject: Is dinner ready?\r
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r
\r
Hi.\r
\r
We lost the game.  Are you hungry yet?\r
\r
Joe.\r
\r
";

pub const RFC8463_ZONE: &str = "
brisbane._domainkey.football.example.com TXT v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
test._domainkey.football.example.com TXT v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB
";
