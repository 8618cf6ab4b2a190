/// What a client may cost, as far as the protocol goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Octets of a command line with its end. RFC 2449 §4 asks for 255; names and passwords may be long, so 1024.
    pub line: usize,
    /// Octets of a SASL response with its end. RFC 5034 §4 asks for 12,288.
    pub response: usize,
    /// Commands that are refused, after which the session ends. Default 50.
    pub errors: u32,
    /// Failed logins, after which the session ends. Default 5.
    pub login_failures: u32,
    /// Octets of answers that may come together before they are sent. Default 32,768.
    pub output: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            line: 1024,
            response: 12_288,
            errors: 50,
            login_failures: 5,
            output: 32 * 1024,
        }
    }
}
