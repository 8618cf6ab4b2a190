//! SMTP and LMTP as state machines, without sockets or clock.
