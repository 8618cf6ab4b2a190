//! The connection below the session: plain, or TLS by rustls; with a PROXY header in front where the listener says so, and compressed where
//! the protocol says so.

use crate::deflate::Deflated;
use crate::secured;
use rustls::ProtocolVersion;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// How long, and for how many octets, we listen after hanging up.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_OCTETS: usize = 1024 * 1024;

/// A connection.
pub enum Stream {
    /// As it came.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
    /// Compressed, whatever is below it.
    Deflated(Box<Deflated>),
    /// In between, or lost in a failed handshake.
    Gone,
}

impl Stream {
    /// Whether it is encrypted.
    pub fn is_tls(&self) -> bool {
        match self {
            Stream::Tls(_) => true,
            Stream::Deflated(deflated) => matches!(deflated.under, Stream::Tls(_)),
            _ => false,
        }
    }

    /// Whether it is compressed.
    pub fn is_deflated(&self) -> bool {
        matches!(self, Stream::Deflated(_))
    }

    /// From here on both directions are compressed (RFC 1951). Nothing where they are already.
    pub fn deflate(&mut self) {
        if !self.is_deflated() {
            let under = std::mem::replace(self, Stream::Gone);
            *self = Stream::Deflated(Box::new(Deflated::new(under)));
        }
    }

    /// Gives back memory that is only needed while there is something to say.
    pub fn relax(&mut self) {
        if let Stream::Deflated(deflated) = self {
            deflated.relax();
        }
    }

    /// Whether the other side will send nothing more: it has closed its direction, or is gone.
    pub async fn is_half_closed(&self) -> bool {
        let socket = match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
            Stream::Deflated(deflated) => match &deflated.under {
                Stream::Plain(stream) => stream,
                Stream::Tls(stream) => stream.get_ref().0,
                _ => return false,
            },
            Stream::Gone => return true,
        };
        let ready = tokio::time::timeout(std::time::Duration::ZERO, socket.ready(tokio::io::Interest::READABLE)).await;
        matches!(ready, Ok(Ok(ready)) if ready.is_read_closed())
    }

    /// Has the system acknowledge at once what has come: a client that waits for it before it goes on is not kept waiting.
    pub fn acknowledge(&self) {
        let socket = match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
            Stream::Deflated(deflated) => match &deflated.under {
                Stream::Plain(stream) => stream,
                Stream::Tls(stream) => stream.get_ref().0,
                _ => return,
            },
            Stream::Gone => return,
        };
        let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
    }

    /// Reads what is there; dropping the future loses nothing.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Deflated(deflated) => deflated.read(buffer).await,
            bare => bare.read_bare(buffer).await,
        }
    }

    pub(crate) async fn read_bare(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer).await,
            Stream::Tls(stream) => stream.read(buffer).await,
            Stream::Deflated(_) | Stream::Gone => Ok(0),
        }
    }

    /// Writes all of it.
    pub async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Deflated(deflated) => deflated.write(bytes).await,
            bare => bare.write_bare(bytes).await,
        }
    }

    pub(crate) async fn write_bare(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(bytes).await,
            Stream::Tls(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Stream::Deflated(_) | Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says that nothing more will be written.
    pub async fn finish(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.shutdown().await,
            Stream::Tls(stream) => stream.shutdown().await,
            Stream::Deflated(deflated) => match &mut deflated.under {
                Stream::Plain(stream) => stream.shutdown().await,
                Stream::Tls(stream) => stream.shutdown().await,
                _ => Ok(()),
            },
            Stream::Gone => Ok(()),
        }
    }

    /// Says that nothing more will be written, and listens for a moment, so that our last words are not lost in a reset.
    pub async fn hang_up(&mut self) -> io::Result<()> {
        self.finish().await?;
        let mut scratch = [0; 1024];
        let mut left = LINGER_OCTETS;
        let drain = async {
            while let Ok(count @ 1..) = self.read(&mut scratch).await {
                left = left.saturating_sub(count);
                if left == 0 {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, drain).await;
        Ok(())
    }

    /// The protocol that was agreed on in the TLS handshake (RFC 7301).
    pub fn alpn(&self) -> Option<&[u8]> {
        match self {
            Stream::Tls(stream) => stream.get_ref().1.alpn_protocol(),
            _ => None,
        }
    }

    /// The server's side of a TLS handshake.
    pub async fn handshake(&mut self, config: Arc<rustls::ServerConfig>) -> io::Result<smtp::Tls> {
        match std::mem::replace(self, Stream::Gone) {
            Stream::Plain(stream) => {
                let stream = TlsAcceptor::from(config).accept(stream).await?;
                let tls = describe(stream.get_ref().1);
                *self = Stream::Tls(Box::new(stream));
                Ok(tls)
            }
            other => {
                *self = other;
                Err(io::Error::other("TLS is on already"))
            }
        }
    }

    /// The value that ties a login to this TLS connection (RFC 9266). Only TLS 1.3 always has one that is unique.
    pub fn channel_binding(&self) -> sasl::ChannelBinding {
        let bare = match self {
            Stream::Deflated(deflated) => &deflated.under,
            bare => bare,
        };
        match bare {
            Stream::Tls(stream) => secured::channel_binding(stream.get_ref().1),
            _ => sasl::ChannelBinding::None,
        }
    }

    /// The addresses in the certificate that the client has shown, which was verified in the handshake; empty when it showed none.
    /// RFC 5280 §4.2.1.6 (rfc822Name), RFC 9598 (SmtpUTF8Mailbox is not read)
    pub fn certificate_addresses(&self) -> Vec<String> {
        let Stream::Tls(stream) = self else { return Vec::new() };
        let Some(own) = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()) else {
            return Vec::new();
        };
        let Ok((_, certificate)) = X509Certificate::from_der(own) else {
            return Vec::new();
        };
        let Ok(Some(names)) = certificate.subject_alternative_name() else {
            return Vec::new();
        };
        let address = |name: &GeneralName<'_>| match name {
            GeneralName::RFC822Name(address) => Some((*address).to_owned()),
            _ => None,
        };
        names.value.general_names.iter().filter_map(address).collect()
    }

    /// Whether the client has shown a certificate that was verified.
    pub fn has_certificate(&self) -> bool {
        let Stream::Tls(stream) = self else { return false };
        stream
            .get_ref()
            .1
            .peer_certificates()
            .is_some_and(|chain| !chain.is_empty())
    }

    /// Reads the PROXY header, and not an octet behind it.
    pub async fn proxied(&mut self) -> io::Result<smtp::proxy::Proxied> {
        let mut header = Vec::with_capacity(64);
        loop {
            let missing = smtp::proxy::missing(&header);
            if missing == 0 {
                return match smtp::proxy::parse(&header) {
                    Ok(Some((proxied, _))) => Ok(proxied),
                    Ok(None) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
                };
            }
            let have = header.len();
            header.resize(have + missing, 0);
            let read = self.read(header.get_mut(have..).unwrap_or_default()).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            header.truncate(have + read);
        }
    }
}

fn compressed() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "a compressed connection is read and written by its own methods",
    )
}

/// For libraries that bring their own way of reading; not for connections that are compressed.
impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Deflated(_) => Poll::Ready(Err(compressed())),
            Stream::Gone => Poll::Ready(Ok(())),
        }
    }
}

/// The same for writing.
impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Deflated(_) => Poll::Ready(Err(compressed())),
            Stream::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_flush(context),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(context),
            Stream::Deflated(_) => Poll::Ready(Err(compressed())),
            Stream::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Deflated(_) => Poll::Ready(Err(compressed())),
            Stream::Gone => Poll::Ready(Ok(())),
        }
    }
}

fn describe(connection: &rustls::ServerConnection) -> smtp::Tls {
    let (version, cipher) = secured::names(connection);
    smtp::Tls {
        version,
        cipher,
        binding: connection.protocol_version() == Some(ProtocolVersion::TLSv1_3),
        certificate: connection.peer_certificates().is_some_and(|chain| !chain.is_empty()),
    }
}
