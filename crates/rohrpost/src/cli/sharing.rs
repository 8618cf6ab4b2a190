//! `group` and `acl`.

use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub enum GroupCommand {
    /// Add a group mailbox: an address with mailboxes that nobody logs into and that its members share
    Add {
        /// Its address
        address: String,
        /// Its name
        #[arg(long)]
        name: Option<String>,
        /// The most it may hold, such as 5GiB [default: no bound]
        #[arg(long, value_name = "SIZE")]
        quota: Option<String>,
    },
    /// List all group mailboxes
    List,
    /// Show the members of a group mailbox
    Members {
        /// Its address
        group: String,
    },
    /// Make somebody a member, or give a member other rights
    ///
    /// A member sees the mailboxes below "Shared Folders" in every mail program, and may send with the group's address.
    Join {
        /// The group mailbox
        group: String,
        /// The account
        member: String,
        /// read, write (also file, answer and delete messages), manage (also make folders and give rights), or letters of RFC 4314
        #[arg(long, default_value = "write")]
        rights: String,
    },
    /// Take a member out
    Leave {
        /// The group mailbox
        group: String,
        /// The account
        member: String,
    },
    /// Say whether each member has a mark of his own for what he has read
    Seen {
        /// The group mailbox
        group: String,
        /// own: what one has read is new to the others; shared: what one has read is read
        #[arg(value_parser = ["own", "shared"])]
        whose: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum AclCommand {
    /// List who may do what with an account's mailboxes
    List {
        /// Any address of the account or group mailbox
        account: String,
    },
    /// Give rights on one mailbox
    Set {
        /// Any address of the account or group mailbox
        account: String,
        /// The mailbox, such as INBOX or Projects/2026
        mailbox: String,
        /// An address, $ and the address of a group mailbox, or anyone; with a - in front to take rights away whatever else gives them
        #[arg(allow_hyphen_values = true)]
        who: String,
        /// read, write, manage, letters of RFC 4314, or none
        rights: String,
    },
}
