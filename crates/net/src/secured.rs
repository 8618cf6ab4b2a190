//! What a TLS connection says of itself, whichever end of it is ours.

use rustls::{CommonState, ConnectionCommon, ProtocolVersion};

/// Version and cipher suite, as logs and `Received` lines have them.
pub fn names(connection: &CommonState) -> (String, String) {
    let version = match connection.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "TLSv1.3".to_owned(),
        Some(ProtocolVersion::TLSv1_2) => "TLSv1.2".to_owned(),
        other => format!("{other:?}"),
    };
    let suite = connection
        .negotiated_cipher_suite()
        .map(|suite| format!("{:?}", suite.suite()))
        .unwrap_or_default();
    // rustls marks the suites of TLS 1.3, the registry of IANA does not.
    (version, suite.replacen("TLS13_", "TLS_", 1))
}

/// The value that ties a login to the connection (RFC 9266); it is defined for TLS 1.3 (and for what nobody speaks any more).
pub fn channel_binding<Side>(connection: &ConnectionCommon<Side>) -> sasl::ChannelBinding {
    if connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && let Ok(value) = connection.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]))
    {
        return sasl::ChannelBinding::TlsExporter(value.to_vec());
    }
    sasl::ChannelBinding::None
}
