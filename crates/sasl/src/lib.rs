//! SASL mechanisms for servers, as state machines: PLAIN, LOGIN, SCRAM-SHA-256 and -PLUS.
