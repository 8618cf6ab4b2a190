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

    pub fn lines(&self) -> &[(String, String, String)] {
        &self.0
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

pub const SPF_ZONE: &str = "
example.com TXT v=spf1 +mx a:colo.example.com/28 -all
example.com MX mail-a.example.com
example.com MX mail-b.example.com
example.com A 192.0.2.10
mail-a.example.com A 192.0.2.129
mail-a.example.com AAAA 2001:db8::129
mail-b.example.com A 192.0.2.130
colo.example.com A 192.0.2.65
soft.example.com TXT v=spf1 ip4:192.0.2.0/24 ~all
two.example.com TXT v=spf1 -all
two.example.com TXT v=spf1 +all
other.example.com TXT some other text
other.example.com TXT v=spf1 ?all
broken.example.com TXT v=spf1 ip4:192.0.2 -all
redirect.example.com TXT v=spf1 redirect=example.com
nowhere.example.com TXT v=spf1 redirect=missing.example.com
include.example.com TXT v=spf1 include:soft.example.com include:example.com -all
includenone.example.com TXT v=spf1 include:missing.example.com -all
includebroken.example.com TXT v=spf1 include:broken.example.com -all
includedown.example.com TXT v=spf1 include:down.example.com -all
down.example.com DOWN
exists.example.com TXT v=spf1 exists:%{ir}.%{l1r-}._spf.%{d} -all
1.2.0.192.bad._spf.exists.example.com A 127.0.0.2
ptr.example.com TXT v=spf1 ptr -all
192.0.2.20 PTR mail.ptr.example.com
192.0.2.20 PTR liar.ptr.example.com
192.0.2.21 PTR liar.ptr.example.com
mail.ptr.example.com A 192.0.2.20
liar.ptr.example.com A 192.0.2.99
p.example.com TXT v=spf1 exists:%{p}.ok.example.com -all
mail.ptr.example.com.ok.example.com A 127.0.0.2
unknown.ok.example.com A 127.0.0.2
loop.example.com TXT v=spf1 include:loop.example.com -all
ten.example.com TXT v=spf1 a:l1.example.com a:l2.example.com a:l3.example.com a:l4.example.com a:l5.example.com a:l6.example.com a:l7.example.com a:l8.example.com a:l9.example.com a:l10.example.com ip4:192.0.2.1 -all
eleven.example.com TXT v=spf1 a:l1.example.com a:l2.example.com a:l3.example.com a:l4.example.com a:l5.example.com a:l6.example.com a:l7.example.com a:l8.example.com a:l9.example.com a:l10.example.com a:l11.example.com ip4:192.0.2.1 -all
l1.example.com A 198.51.100.1
l2.example.com A 198.51.100.1
l3.example.com A 198.51.100.1
l4.example.com A 198.51.100.1
l5.example.com A 198.51.100.1
l6.example.com A 198.51.100.1
l7.example.com A 198.51.100.1
l8.example.com A 198.51.100.1
l9.example.com A 198.51.100.1
l10.example.com A 198.51.100.1
l11.example.com A 198.51.100.1
void2.example.com TXT v=spf1 a:v1.example.com a:v2.example.com ip4:192.0.2.1 -all
void3.example.com TXT v=spf1 a:v1.example.com a:v2.example.com mx:v3.example.com ip4:192.0.2.1 -all
v6.example.com TXT v=spf1 ip6:2001:db8::/32 a:mail-a.example.com//64 -all
manymx.example.com TXT v=spf1 mx -all
manymx.example.com MX m1.example.com
manymx.example.com MX m2.example.com
manymx.example.com MX m3.example.com
manymx.example.com MX m4.example.com
manymx.example.com MX m5.example.com
manymx.example.com MX m6.example.com
manymx.example.com MX m7.example.com
manymx.example.com MX m8.example.com
manymx.example.com MX m9.example.com
manymx.example.com MX m10.example.com
manymx.example.com MX m11.example.com
exp.example.com TXT v=spf1 exp=why.example.com -all
why.example.com TXT %{i} is not one of %{d}'s hosts
expinc.example.com TXT v=spf1 include:exp.example.com exp=bad.example.com -all
bad.example.com TXT %{x} cannot be
noall.example.com TXT v=spf1 ip4:198.51.100.1
case.example.com TXT V=SPF1 IP4:192.0.2.1 -ALL
unknownmod.example.com TXT v=spf1 foo=bar ip4:192.0.2.1 -all
mail.host.example TXT v=spf1 ip4:192.0.2.1 -all
";
