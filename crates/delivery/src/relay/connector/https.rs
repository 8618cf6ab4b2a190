//! One request over HTTPS to a host of strangers: for MTA-STS policies and TLS reports. No redirects, no cookies, no proxies; everything is
//! bounded. What is fetched comes from a host whose certificate an authority vouches for; a report goes also where that is what is broken (RFC
//! 8460 §3).

use super::hosts;
use super::tls::ClientTls;
use bytes::Bytes;
use dns::Resolver;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Octets of an answer (RFC 8461 §3.3 suggests 64 KB).
const LONGEST: usize = 64 * 1024;
/// How long it may take in all (RFC 8461 §3.3 suggests a minute).
const PATIENCE: Duration = Duration::from_secs(60);
/// Addresses that are tried.
const ADDRESSES: usize = 4;

/// How requests are made.
#[derive(Clone)]
pub(super) struct Https {
    pub(super) resolver: Resolver,
    pub(super) tls: ClientTls,
    /// Hosts may be on this machine.
    pub(super) loopback: bool,
    /// The port where an address names none.
    pub(super) port: u16,
}

impl Https {
    /// The body of a good answer.
    pub(super) async fn get(&self, host: &str, path: &str) -> Result<Bytes, String> {
        let request = Request::get(path).header("Host", host).body(Full::default());
        self.ask(host, self.port, request, self.tls.strict()).await
    }

    /// Whether it was taken. Whose certificate the server has does not matter.
    pub(super) async fn post(
        &self,
        host: &str,
        port: Option<u16>,
        path: &str,
        kind: &str,
        body: Bytes,
    ) -> Result<(), String> {
        let name = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let request = Request::post(path)
            .header("Host", name)
            .header("Content-Type", kind)
            .body(Full::new(body));
        let tls = self.tls.accepting();
        self.ask(host, port.unwrap_or(self.port), request, tls).await.map(drop)
    }

    async fn ask(
        &self,
        host: &str,
        port: u16,
        request: hyper::http::Result<Request<Full<Bytes>>>,
        tls: Arc<ClientConfig>,
    ) -> Result<Bytes, String> {
        let request = request.map_err(|e| e.to_string())?;
        match tokio::time::timeout(PATIENCE, self.try_all(host, port, request, tls)).await {
            Ok(result) => result.map_err(|why| format!("{host}: {why}")),
            Err(_) => Err(format!("{host}: no answer in {} s", PATIENCE.as_secs())),
        }
    }

    async fn try_all(
        &self,
        host: &str,
        port: u16,
        request: Request<Full<Bytes>>,
        tls: Arc<ClientConfig>,
    ) -> Result<Bytes, String> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| e.to_string())?;
        let addresses = hosts::addresses(&self.resolver, host, true)
            .await
            .map_err(|e| e.to_string())?;
        let mut last = "it has no address that can be used".to_owned();
        for address in addresses.list.into_iter().take(ADDRESSES) {
            if hosts::is_nobodys(address) || (address.to_canonical().is_loopback() && !self.loopback) {
                continue;
            }
            let address = SocketAddr::new(address, port);
            match exchange(address, name.clone(), request.clone(), Arc::clone(&tls)).await {
                Ok(body) => return Ok(body),
                Err(why) => last = why,
            }
        }
        Err(last)
    }
}

async fn exchange(
    address: SocketAddr,
    name: ServerName<'static>,
    request: Request<Full<Bytes>>,
    tls: Arc<ClientConfig>,
) -> Result<Bytes, String> {
    let socket = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    let stream = TlsConnector::from(tls)
        .connect(name, socket)
        .await
        .map_err(|e| e.to_string())?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let answered = async {
        let response = sender.send_request(request).await.map_err(|e| e.to_string())?;
        if !response.status().is_success() {
            return Err(format!("the answer is {}", response.status()));
        }
        let body = Limited::new(response.into_body(), LONGEST)
            .collect()
            .await
            .map_err(|e| e.to_string())?;
        Ok(body.to_bytes())
    };
    tokio::pin!(answered);
    tokio::select! {
        body = &mut answered => body,
        // The connection is over; what it gave may still wait to be read.
        _ = connection => answered.await,
    }
}
