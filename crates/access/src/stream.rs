//! The connection below the session: plain, or TLS by rustls; with a PROXY header in front where the listener says so.

use rustls::ProtocolVersion;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// A connection.
pub(crate) enum Stream {
    /// As it came.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<TlsStream<TcpStream>>),
    /// In between, or lost in a failed handshake.
    Gone,
}

impl Stream {
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self, Stream::Tls(_))
    }

    /// Has the system acknowledge at once what has come.
    pub(crate) fn acknowledge(&self) {
        let socket = match self {
            Stream::Plain(stream) => stream,
            Stream::Tls(stream) => stream.get_ref().0,
            Stream::Gone => return,
        };
        let _ = rustix::net::sockopt::set_tcp_quickack(socket, true);
    }

    /// Reads what is there; dropping the future loses nothing.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(stream) => stream.read(buffer).await,
            Stream::Tls(stream) => stream.read(buffer).await,
            Stream::Gone => Ok(0),
        }
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.write_all(octets).await,
            Stream::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Says that nothing more will be written.
    pub(crate) async fn finish(&mut self) -> io::Result<()> {
        match self {
            Stream::Plain(stream) => stream.shutdown().await,
            Stream::Tls(stream) => stream.shutdown().await,
            Stream::Gone => Ok(()),
        }
    }

    /// The server's side of a TLS handshake.
    pub(crate) async fn handshake(&mut self, config: Arc<rustls::ServerConfig>) -> io::Result<()> {
        match std::mem::replace(self, Stream::Gone) {
            Stream::Plain(stream) => {
                let stream = TlsAcceptor::from(config).accept(stream).await?;
                *self = Stream::Tls(Box::new(stream));
                Ok(())
            }
            other => {
                *self = other;
                Err(io::Error::other("TLS is on already"))
            }
        }
    }

    /// The value that ties a login to this TLS connection (RFC 9266). Only TLS 1.3 always has one that is unique.
    pub(crate) fn channel_binding(&self) -> sasl::ChannelBinding {
        if let Stream::Tls(stream) = self
            && stream.get_ref().1.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && let Ok(value) =
                stream
                    .get_ref()
                    .1
                    .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
        {
            return sasl::ChannelBinding::TlsExporter(value.to_vec());
        }
        sasl::ChannelBinding::None
    }

    /// Reads the PROXY header, and not an octet behind it.
    pub(crate) async fn proxied(&mut self) -> io::Result<smtp::proxy::Proxied> {
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
