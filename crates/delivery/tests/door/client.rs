//! A client that says what it is told and reads whole replies.

use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

pub struct Client {
    wire: Option<Box<dyn Wire>>,
    read: Vec<u8>,
    /// The channel binding of RFC 9266, as this side sees it.
    pub binding: Vec<u8>,
}

impl Client {
    pub async fn raw(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            wire: Some(Box::new(stream)),
            read: Vec::new(),
            binding: Vec::new(),
        }
    }

    /// Connects and reads the greeting.
    pub async fn connect(address: SocketAddr) -> Client {
        let mut client = Client::raw(address).await;
        client.hear("220").await;
        client
    }

    /// Connects and says EHLO.
    pub async fn greeted(address: SocketAddr) -> Client {
        let mut client = Client::connect(address).await;
        client.say("EHLO client.example", "250").await;
        client
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.wire.as_mut().unwrap().write_all(bytes).await.unwrap();
        self.wire.as_mut().unwrap().flush().await.unwrap();
    }

    /// One whole reply, which must begin like this.
    pub async fn hear(&mut self, expected: &str) -> String {
        let reply = self.reply().await;
        assert!(reply.starts_with(expected), "expected {expected}, got {reply:?}");
        reply
    }

    /// Says a line and hears the reply.
    pub async fn say(&mut self, line: &str, expected: &str) -> String {
        self.send(format!("{line}\r\n").as_bytes()).await;
        let reply = self.reply().await;
        assert!(
            reply.starts_with(expected),
            "{line}: expected {expected}, got {reply:?}"
        );
        reply
    }

    /// Everything until the other side hangs up.
    pub async fn rest(&mut self) -> String {
        while self.fill().await > 0 {}
        String::from_utf8(std::mem::take(&mut self.read)).unwrap()
    }

    async fn reply(&mut self) -> String {
        loop {
            let mut from = 0;
            while let Some(end) = self.read[from..].iter().position(|&b| b == b'\n') {
                let line = &self.read[from..from + end + 1];
                from += end + 1;
                if line.get(3) == Some(&b' ') {
                    let reply: Vec<u8> = self.read.drain(..from).collect();
                    return String::from_utf8(reply).unwrap();
                }
            }
            if self.fill().await == 0 {
                return format!("(hung up) {}", String::from_utf8_lossy(&self.read));
            }
        }
    }

    async fn fill(&mut self) -> usize {
        let mut buffer = [0; 4096];
        let read = self.wire.as_mut().unwrap().read(&mut buffer);
        let count = tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .expect("no answer within 20 s")
            .unwrap_or(0);
        self.read.extend_from_slice(&buffer[..count]);
        count
    }

    /// The client's side of a TLS handshake.
    pub async fn tls(&mut self, certificate: &rustls::pki_types::CertificateDer<'static>) {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("mail.our.test").unwrap();
        let wire = self.wire.take().unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, wire).await.unwrap();
        let binding = stream
            .get_ref()
            .1
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
        self.binding = binding.unwrap().to_vec();
        self.wire = Some(Box::new(stream));
    }
}
