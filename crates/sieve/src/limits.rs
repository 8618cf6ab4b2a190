/// How much a script may ask for. Each is a setting of the administrator; the defaults serve people, not programs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Octets of a script. Default 1 MiB: the largest hand-made scripts are a tenth of that, and reading one takes milliseconds.
    pub script_bytes: usize,
    /// Blocks in blocks and tests in tests. Default 32 (RFC 5228 §2.10.5 asks for 15): the reader and the interpreter recurse.
    pub nesting: usize,
    /// Commands and tests that a script may have. Default 50,000: bounds the memory of what it is compiled to.
    pub commands: usize,
    /// Errors listed for one script; the first tell enough. Default 50.
    pub errors: usize,
    /// Commands and tests executed for one message, included scripts and loops over parts counted. Default 100,000.
    pub steps: usize,
    /// Actions of one run, all kinds together. Default 32, as Dovecot has it: a message is not copied without bound.
    pub actions: usize,
    /// `redirect` actions of one run. Default 5: a script must not become a distribution list.
    pub redirects: usize,
    /// `notify` actions of one run. Default 5.
    pub notifications: usize,
    /// Variables of one script. Default 256 (RFC 5229 §3 asks for 128).
    pub variables: usize,
    /// Octets that a variable holds; longer values are cut at a character (RFC 5229 §3 asks for 4,000). Default 16 KiB.
    pub variable_bytes: usize,
    /// Octets of variables at one time, all together, and of any string while it is put together. Default 1 MiB.
    pub string_bytes: usize,
    /// Octets of a name that variables stand in, such as a mailbox or an address. Default 1,024.
    pub name_bytes: usize,
    /// Match variables `${1}`, `${2}` … (RFC 5229 §3.2 asks for nine). Default 32.
    pub captures: usize,
    /// Octets of a regular expression. Default 1,024.
    pub regex_bytes: usize,
    /// Octets of a compiled regular expression. Default 1 MiB: `(a{1000}){1000}` is refused, not run.
    pub regex_program_bytes: usize,
    /// Octets of a value that a regular expression is tried on; the rest is not looked at. Default 64 KiB. The engine's time is
    /// linear in this, so it bounds the time too.
    pub regex_input_bytes: usize,
    /// Regular expressions that are made while a script runs (from variables). Default 50: making one is dear.
    pub regex_made: usize,
    /// Scripts included within each other. Default 10 (RFC 6609 §3.1 asks for 3).
    pub include_depth: usize,
    /// Scripts included in all. Default 255, as Dovecot has it.
    pub includes: usize,
    /// Octets of header fields that are looked at. Default 1 MiB; the rest is kept and not tested.
    pub header_bytes: usize,
    /// Octets of decoded body that a test looks at. Default 4 MiB: a test reads text, not films.
    pub body_bytes: usize,
    /// Loops over parts within each other (RFC 5703 §3). Default 4.
    pub loops: usize,
    /// Header fields that a script may add. Default 100.
    pub added_fields: usize,
    /// Octets of an added header field. Default 2,048 (RFC 5293 §4 leaves it open).
    pub added_field_bytes: usize,
    /// Octets of a message after changes, over its first size. Default 1 MiB.
    pub growth_bytes: usize,
    /// Flags of one message that a script may set. Default 100.
    pub flags: usize,
    /// Shortest period after which `vacation` answers again, seconds. Default one day (RFC 5230 §4.1; RFC 6131 allows less).
    pub vacation_min_seconds: u64,
    /// The period where the script names none, seconds. Default seven days.
    pub vacation_default_seconds: u64,
    /// Longest period, seconds. Default 60 days: state is kept as long.
    pub vacation_max_seconds: u64,
    /// Longest time that an id of `duplicate` is remembered, seconds. Default seven days.
    pub duplicate_max_seconds: u64,
    /// Entries of the explanation of one run. Default 2,000; what comes after is counted only.
    pub explanation: usize,
    /// Octets of a value quoted in the explanation. Default 120.
    pub explanation_value_bytes: usize,
    /// Lines that `debug_log` may write in one run. Default 50.
    pub log_lines: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        const KIB: usize = 1024;
        const DAY: u64 = 86_400;
        Limits {
            script_bytes: 1024 * KIB,
            nesting: 32,
            commands: 50_000,
            errors: 50,
            steps: 100_000,
            actions: 32,
            redirects: 5,
            notifications: 5,
            variables: 256,
            variable_bytes: 16 * KIB,
            string_bytes: 1024 * KIB,
            name_bytes: KIB,
            captures: 32,
            regex_bytes: KIB,
            regex_program_bytes: 1024 * KIB,
            regex_input_bytes: 64 * KIB,
            regex_made: 50,
            include_depth: 10,
            includes: 255,
            header_bytes: 1024 * KIB,
            body_bytes: 4096 * KIB,
            loops: 4,
            added_fields: 100,
            added_field_bytes: 2 * KIB,
            growth_bytes: 1024 * KIB,
            flags: 100,
            vacation_min_seconds: DAY,
            vacation_default_seconds: 7 * DAY,
            vacation_max_seconds: 60 * DAY,
            duplicate_max_seconds: 7 * DAY,
            explanation: 2000,
            explanation_value_bytes: 120,
            log_lines: 50,
        }
    }
}
